package doctor_test

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/microbosh/microbosh/pkg/bus"
	"github.com/microbosh/microbosh/pkg/messages"
	"github.com/microbosh/microbosh/services/orchestrator/internal/doctor"
	"github.com/microbosh/microbosh/services/orchestrator/internal/journal"
	"github.com/microbosh/microbosh/services/orchestrator/internal/workflow"
)

func texts(c doctor.Check) []string {
	var out []string
	for _, f := range c.Findings {
		out = append(out, f.Text)
	}
	return out
}

// want checks what was found; every finding says what to do.
func want(t *testing.T, c doctor.Check, wanted ...string) {
	t.Helper()
	if diff := cmp.Diff(wanted, texts(c)); diff != "" {
		t.Errorf("%s:\n%s", c.Name, diff)
	}
	for _, f := range c.Findings {
		if f.Hint == "" {
			t.Errorf("%s: no hint for %q", c.Name, f.Text)
		}
	}
}

func TestBus(t *testing.T) {
	t.Parallel()
	well := bus.Health{Version: "2", MaxPayload: 1 << 20, MaxStorage: -1, Streams: []bus.StreamHealth{{Name: "S", Leader: true, Replicas: 1}}}
	want(t, doctor.Bus(well))
	want(t, doctor.JetStream(well))
	ill := bus.Health{MaxPayload: 1 << 10, Storage: 90 << 20, MaxStorage: 100 << 20, Cluster: "c", Streams: []bus.StreamHealth{
		{Name: "A", Replicas: 3}, {Name: "B", Leader: true, Replicas: 3, Behind: []string{"n1"}}, {Name: "C", Leader: true, Replicas: 1},
		{Name: "D", Leader: true, Replicas: 3},
	}}
	want(t, doctor.Bus(ill), "it takes messages of 1 KiB at most, 512 KiB are needed")
	want(t, doctor.JetStream(ill), "the streams take 90 of the 100 MiB that they may", "the stream A has no leader",
		"the stream B is not whole on n1", "the stream C is kept by 1 of the cluster's servers only")
	want(t, doctor.Streams([]string{"the stream A is missing"}), "the stream A is missing")
	want(t, doctor.Workers([]string{"a", "b"}, []string{"b"}, []string{"the consumer b is missing"}), "nobody answers for b", "the consumer b is missing")
}

// A clock is told by the quickest of enough facts: one that was sent again after
// an outage only looks old.
func TestClocks(t *testing.T) {
	t.Parallel()
	stored := time.Unix(1000, 0)
	facts := func(source string, ahead ...time.Duration) (out []journal.Stamp) {
		for _, d := range ahead {
			out = append(out, journal.Stamp{Source: source, Written: stored.Add(d), Stored: stored})
		}
		return out
	}
	const s, minute = time.Second, time.Minute
	for name, c := range map[string]struct {
		ahead time.Duration
		facts []journal.Stamp
		want  []string
	}{
		"well":           {time.Millisecond, facts("a", -s, 0, -s), nil},
		"bus ahead":      {minute, nil, []string{"the clock of the bus is 1m0s before this host's"}},
		"bus behind":     {-minute, nil, []string{"the clock of the bus is 1m0s behind this host's"}},
		"writer ahead":   {0, facts("a", minute, minute, minute), []string{"the clock of a was 1m0s before the bus's"}},
		"writer behind":  {0, facts("a", -minute, -2*minute, -minute), []string{"the clock of a was 1m0s behind the bus's"}},
		"an outage":      {0, facts("a", -minute, -minute, -s), nil},
		"too few to say": {0, facts("a", -minute, -minute), nil},
		"one of two":     {0, append(facts("a", -s, -s, -s), facts("b", minute, minute, minute)...), []string{"the clock of b was 1m0s before the bus's"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			want(t, doctor.Clocks(bus.Health{Ahead: c.ahead}, c.facts), c.want...)
		})
	}
}

func TestCertificates(t *testing.T) {
	t.Parallel()
	now := time.Date(2030, 1, 10, 0, 0, 0, 0, time.UTC)
	cert := func(from, to time.Time) *x509.Certificate {
		return &x509.Certificate{Subject: pkix.Name{CommonName: "cn"}, NotBefore: from, NotAfter: to}
	}
	day := 24 * time.Hour
	want(t, doctor.Certificates([]doctor.Certificate{
		{"a", "renew", cert(now.Add(-day), now.Add(365*day))},
		{"b", "renew", cert(now.Add(-day), now.Add(29*day))},
		{"c", "renew", cert(now.Add(-2*day), now.Add(-day))},
		{"d", "renew", cert(now.Add(day), now.Add(365*day))},
	}, now),
		"the certificate of b (cn) ends at 2030-02-08 00:00:00 UTC",
		"the certificate of c (cn) has ended at 2030-01-09 00:00:00 UTC",
		"the certificate of d (cn) is not valid before 2030-01-11 00:00:00 UTC")
}

func TestCloud(t *testing.T) {
	t.Parallel()
	full := messages.Errorf(messages.CodeCloudQuota, "full").WithHint("free some")
	lost := messages.Errorf(messages.CodeCloudNotFound, "no such flavor").WithHint("name another")
	reply := messages.PreflightReply{Checks: []messages.Check{{Name: "credentials"}, {Name: "flavor", Error: lost}, {Name: "compute quota", Error: full}}}
	want(t, doctor.Cloud("openstack", reply, false), "flavor: no such flavor", "compute quota: full")
	want(t, doctor.Cloud("openstack", reply, true), "flavor: no such flavor")
}

func TestJournal(t *testing.T) {
	t.Parallel()
	s := messages.Snapshot{Open: map[string]messages.Intent{"u-create_vm-1": {}}}
	want(t, doctor.Journal(s, true))
	want(t, doctor.Journal(s, false), "the step u-create_vm-1 was asked for, and nobody knows what became of it")
}

// Only what the journal knows to be over is offered for deletion.
func TestOrphans(t *testing.T) {
	t.Parallel()
	state := workflow.State{Snapshot: messages.Snapshot{
		UID: "uuuuuuuu", VM: &messages.VM{CID: "vm", Step: "uuuuuuuu-create_vm-2"}, Disk: &messages.Disk{CID: "disk", Step: "uuuuuuuu-create_disk-1"},
		Stemcell: &messages.Stemcell{CID: "image", Step: "uuuuuuuu-create_stemcell-1"},
		Open:     map[string]messages.Intent{"uuuuuuuu-create_disk-2": {}},
	}}
	ended := map[string]bool{}
	for _, id := range []string{"oldoldold-create_disk-1", "uuuuuuuu-create_vm-1", "uuuuuuuu-create_vm-2", "uuuuuuuu-create_disk-1", "uuuuuuuu-create_stemcell-1"} {
		ended[id] = true
	}
	tagged := []messages.Resource{
		{Kind: messages.KindVM, CID: "vm", Step: "uuuuuuuu-create_vm-2"},
		{Kind: messages.KindPort, CID: "port", Step: "uuuuuuuu-create_vm-2"},
		{Kind: messages.KindDisk, CID: "disk", Step: "uuuuuuuu-create_disk-1"},
		{Kind: messages.KindStemcell, CID: "image", Step: "uuuuuuuu-create_stemcell-1"},
		{Kind: messages.KindDisk, CID: "open", Step: "uuuuuuuu-create_disk-2"},       // the next run settles it
		{Kind: messages.KindSnapshot, CID: "shot", Step: "uuuuuuuu-snapshot_disk-1"}, // a Director's
		{Kind: messages.KindDisk, CID: "late", Step: "uuuuuuuu-create_disk-1"},
		{Kind: messages.KindDisk, CID: "left", Step: "oldoldold-create_disk-1"},
		{Kind: messages.KindVM, CID: "former", Name: "vm-1", Step: "uuuuuuuu-create_vm-1"},
		{Kind: messages.KindVM, CID: "twin", Step: "uuuuuuuu-create_vm-2"},
		{Kind: messages.KindDisk, CID: "unknown", Step: "uuuuuuuu-create_disk-7"},
		{Kind: messages.KindDisk, CID: "foreign", Step: "wwwwwwww-create_disk-1"},
	}
	check, sweep := doctor.Orphans(state, journal.History{UIDs: []string{"uuuuuuuu", "oldoldold"}, Ended: ended}, tagged)
	want(t, check,
		"disk late is no part of the deployment (step uuuuuuuu-create_disk-1)",
		"disk left is no part of the deployment (step oldoldold-create_disk-1)",
		"vm former (vm-1) is no part of the deployment (step uuuuuuuu-create_vm-1)",
		"vm twin is no part of the deployment (step uuuuuuuu-create_vm-2), but bears the same step as its VM",
		"disk unknown is no part of the deployment (step uuuuuuuu-create_disk-7), and its journal does not know that step",
		"disk foreign is no part of the deployment (step wwwwwwww-create_disk-1), and this bus knows no deployment with the uid wwwwwwww")
	var cids []string
	for _, r := range sweep {
		cids = append(cids, r.CID)
	}
	if got := strings.Join(cids, " "); got != "late left former" {
		t.Errorf("it would delete %q", got)
	}
}

func TestReport(t *testing.T) {
	t.Parallel()
	var r doctor.Report
	r.Add(doctor.Skipped("services", "nobody asked"), doctor.Check{Name: "clocks", About: "within 5s"})
	if r.Found() != 0 || !strings.HasSuffix(r.Text(), "\nNothing found\n") {
		t.Errorf("%d found:\n%s", r.Found(), r.Text())
	}
	r.Add(doctor.Failed("cloud", messages.Errorf(messages.CodeCloudAuth, "denied").WithHint("one\ntwo")), doctor.Failed("x", errors.New("y")))
	const text = `services      -      nobody asked
clocks        ok     within 5s
cloud         found
  denied
    hint: one
    hint: two
x             found
  y

2 findings
`
	if diff := cmp.Diff(text, r.Text()); diff != "" {
		t.Error(diff)
	}
}

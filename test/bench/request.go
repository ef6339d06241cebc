package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/microbosh/microbosh/pkg/bus"
	"github.com/microbosh/microbosh/pkg/daemon"
	"github.com/microbosh/microbosh/pkg/manifest"
	"github.com/microbosh/microbosh/pkg/messages"
	"github.com/microbosh/microbosh/pkg/seal"
	"github.com/microbosh/microbosh/pkg/stemcell"
	"github.com/microbosh/microbosh/test/lab"
)

// deployer sends requests as the command line does, without its processes.
type deployer struct {
	*lab.Lab
	conn   *bus.Conn
	ring   *seal.Ring
	public string // the orchestrator's key
	cell   *stemcell.Stemcell
	size   int64
}

// newDeployer starts a lab and builds a stemcell of less than 1 MiB: its agent
// and its job are scripts that start this host's programs, and the job only
// answers /info.
func newDeployer(t testing.TB, o lab.Options) *deployer {
	t.Helper()
	o.Quiet = true
	l := lab.New(t, o)
	bin := lab.Programs(t)
	agent := filepath.Join(l.Dir, "agent")
	if err := os.WriteFile(agent, fmt.Appendf(nil, "#!/bin/sh\nexec %s/microbosh-agent \"$@\"\n", bin), 0o755); err != nil {
		t.Fatal(err)
	}
	control := fmt.Sprintf(`#!/bin/sh
base=$(cd "$(dirname "$0")/../../.." && pwd)
pid=$base/sys/run/microbosh/microbosh.pid
case $1 in
start)
  mkdir -p "${pid%%/*}" "$base/data/director"
  %s/microbosh director --only-info --spec "$base/bosh/spec.json" --data "$base/data/director" </dev/null >/dev/null 2>&1 &
  echo $! >"$pid" ;;
stop) kill "$(cat "$pid")"; rm -f "$pid" ;;
esac
`, bin)
	if err := stemcell.BuildDev(stemcell.DevOptions{Output: l.Stemcell, Version: "1", Agent: agent, Control: []byte(control)}); err != nil {
		t.Fatal(err)
	}
	cell, err := stemcell.Open(l.Stemcell)
	if err != nil {
		t.Fatal(err)
	}
	ring, err := seal.Ephemeral()
	if err != nil {
		t.Fatal(err)
	}
	public, err := seal.PublicKey(l.Keys(), messages.RoleOrchestrator)
	if err != nil {
		t.Fatal(err)
	}
	return &deployer{Lab: l, conn: l.Connect(messages.RoleCLI), ring: ring, public: public, cell: cell, size: cell.Size}
}

// order is one deploy request.
type order struct {
	name, uid string
	verb      messages.Verb
	disk      int
	mark      string // makes another configuration
}

// run sends an order and waits until it is closed; it gives the wall time, and
// the milliseconds of each step in order.
func (d *deployer) run(ctx context.Context, o order) (time.Duration, []step, error) {
	feed, err := d.conn.Follow(ctx, messages.StreamEvent, []string{messages.EventSubject(o.name, messages.ServiceOrchestrator, messages.EventRunClosed)}, bus.Start{New: true})
	if err != nil {
		return 0, nil, err
	}
	defer feed.Stop()
	last, err := d.conn.Last(ctx, messages.StreamJournal, messages.JournalFilter(o.name))
	if err != nil && !errors.Is(err, bus.ErrNone) {
		return 0, nil, err
	}
	run, body, err := d.request(o)
	if err != nil {
		return 0, nil, err
	}
	began := time.Now()
	if _, err := d.conn.Send(ctx, messages.CommandSubject(o.name), run, body); err != nil {
		return 0, nil, err
	}
	m, err := feed.Next(ctx)
	took := time.Since(began)
	if err != nil {
		return took, nil, err
	}
	var closed messages.RunClosed
	if _, err := messages.Decode(m.Data, &closed); err != nil {
		return took, nil, err
	}
	if closed.Outcome != messages.OutcomeSucceeded && closed.Outcome != messages.OutcomeSkipped {
		return took, nil, fmt.Errorf("%s of %s ended %s", o.verb, o.name, closed.Outcome)
	}
	steps, err := d.steps(ctx, o.name, last.Seq+1)
	return took, steps, err
}

type step struct {
	name string
	took time.Duration
}

// steps are a run's, timed by the journal's own stamps.
func (d *deployer) steps(ctx context.Context, name string, from uint64) ([]step, error) {
	msgs, err := d.conn.Read(ctx, messages.StreamJournal, messages.JournalFilter(name), from)
	if err != nil {
		return nil, err
	}
	var out []step
	var before time.Time
	for _, m := range msgs {
		e, err := messages.Decode(m.Data, nil)
		if err != nil {
			return nil, err
		}
		var about struct {
			Step string `json:"step"`
		}
		_ = json.Unmarshal(e.Data, &about) // a fact about no step
		if e.TypeName(messages.ClassFact) == messages.FactStepDone {
			out = append(out, step{about.Step, m.Time.Sub(before)})
		}
		before = m.Time
	}
	return out, nil
}

func (d *deployer) request(o order) (string, []byte, error) {
	b, err := os.ReadFile(d.Manifest)
	if err != nil {
		return "", nil, err
	}
	m, err := manifest.Parse(d.Manifest, fmt.Appendf(b[:len(b):len(b)], "# %s\n", o.mark))
	if err != nil {
		return "", nil, err
	}
	public, secrets, err := m.Split()
	if err != nil {
		return "", nil, err
	}
	var tree map[string]any
	if err := json.Unmarshal(public, &tree); err != nil {
		return "", nil, err
	}
	tree["name"] = o.name
	tree["resources"].(map[string]any)["persistent_disk"] = o.disk
	if public, err = json.Marshal(tree); err != nil {
		return "", nil, err
	}
	sealed, err := d.ring.Seal(d.public, messages.CommandSecrets{Manifest: secrets, ApplySpec: d.cell.ApplySpec})
	if err != nil {
		return "", nil, err
	}
	properties, err := json.Marshal(d.cell.CloudProperties)
	if err != nil {
		return "", nil, err
	}
	run := uuid.NewString()
	e := messages.Envelope{
		ID: run, Type: messages.Type(messages.ClassCommand, string(o.verb)), Source: "bench", Deployment: o.name, DeploymentUID: o.uid,
		Run: run, Time: time.Now(),
	}
	body, err := e.Encode(messages.Command{
		Verb: o.verb, Manifest: public, Secrets: sealed, ConfigSHA1: fmt.Sprint("config-", o.disk, o.mark),
		Stemcell: &messages.StemcellRef{
			Path: d.Stemcell, Host: daemon.HostID(), Size: d.size, Name: d.cell.Name, Version: d.cell.Version,
			APIVersion: d.cell.APIVersion, SHA1: d.cell.SHA1, CloudProperties: properties,
		},
	})
	return run, body, err
}

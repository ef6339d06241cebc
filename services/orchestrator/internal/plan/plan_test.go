package plan_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/microbosh/microbosh/pkg/messages"
	"github.com/microbosh/microbosh/services/orchestrator/internal/plan"
	"github.com/microbosh/microbosh/services/orchestrator/internal/workflow"
)

func request(edit func(*workflow.Request)) workflow.Request {
	r := workflow.Request{
		Run: "r", Verb: messages.VerbUpdate, ConfigSHA1: "c1", StemcellSHA1: "s1", StemcellName: "dev", StemcellVersion: "1", DiskMiB: 1024,
	}
	if edit != nil {
		edit(&r)
	}
	return r
}

func deployed() workflow.State {
	return workflow.State{Snapshot: messages.Snapshot{
		Deployment: "micro", UID: "abcdefgh1234", ConfigSHA1: "c1", StemcellSHA1: "s1",
		VM:       &messages.VM{CID: "vm-1", Step: "abcdefgh1234-create_vm-1", ConfigSHA1: "c1", StemcellSHA1: "s1", IP: "1", AgentSeen: true, Running: true, MetadataSet: true},
		Disk:     &messages.Disk{CID: "vol-1", Step: "abcdefgh1234-create_disk-1", SizeMiB: 1024, WantedMiB: 1024, AttachedTo: "vm-1", Mounted: true},
		Stemcell: &messages.Stemcell{CID: "img-1", Step: "abcdefgh1234-create_stemcell-1", SHA1: "s1", Uploaded: true},
	}}
}

func well() plan.Seen {
	yes := true
	return plan.Seen{
		Asked: true, VM: true, Agent: &yes, Disks: map[string]bool{"vol-1": true}, Attached: []string{"vol-1"},
		Tagged: []messages.Resource{
			{Kind: "vm", CID: "vm-1", Status: "ACTIVE", Step: "abcdefgh1234-create_vm-1"},
			{Kind: "port", CID: "port-1", Step: "abcdefgh1234-create_vm-1"},
			{Kind: "disk", CID: "vol-1", Step: "abcdefgh1234-create_disk-1"},
			{Kind: "stemcell", CID: "img-1", Step: "abcdefgh1234-create_stemcell-1"},
		},
	}
}

func TestPlansInWords(t *testing.T) {
	t.Parallel()
	const steady = "\nThe cloud is as the journal tells it\n"
	for name, c := range map[string]struct {
		state   func(*workflow.State)
		request func(*workflow.Request)
		want    string // up to the steps
		losses  bool
	}{
		"nothing changed": {nil, nil, "Will skip deploy due to no changes\n\n" +
			"  keep      VM              vm-1\n  keep      persistent disk vol-1\n  keep      stemcell        img-1\n", false},
		"another stemcell": {nil, func(r *workflow.Request) { r.StemcellSHA1 = "s2" }, "Will deploy due to stemcell changes\n\n" +
			"  recreate  VM              vm-1: its jobs are down from its end until the new one has started\n" +
			"  keep      persistent disk vol-1: with its content; it moves to the new VM\n" +
			"  create    stemcell        uploaded from dev 1\n  destroy   stemcell        img-1: not used any more\n", true},
		"a stemcell of somebody else's": {func(s *workflow.State) { s.Stemcell.Uploaded = false }, func(r *workflow.Request) { r.StemcellSHA1, r.FetchSpec = "img-2", true },
			"Will deploy due to stemcell changes\n\n" +
				"  recreate  VM              vm-1: its jobs are down from its end until the new one has started\n" +
				"  keep      persistent disk vol-1: with its content; it moves to the new VM\n" +
				"  create    stemcell        the image img-2 that the cloud has\n" +
				"  keep      stemcell        img-1: not used any more, but it was not uploaded by microbosh\n", true},
		"a larger disk": {nil, func(r *workflow.Request) { r.DiskMiB, r.ConfigSHA1 = 4096, "c2" }, "Will deploy due to configuration changes\n\n" +
			"  recreate  VM              vm-1: its jobs are down from its end until the new one has started\n" +
			"  recreate  persistent disk vol-1: 4096 MiB instead of 1024 MiB; the content is copied before the old one goes\n" +
			"  keep      stemcell        img-1\n", true},
		"an unfinished deploy": {func(s *workflow.State) { s.ConfigSHA1 = "" }, nil, "Will deploy because the last deploy did not finish\n\n" +
			"  change    VM              vm-1: its jobs are stopped, set up again and started\n" +
			"  keep      persistent disk vol-1\n  keep      stemcell        img-1\n", false},
		"the first deploy": {func(s *workflow.State) { *s = workflow.State{} }, func(r *workflow.Request) { r.Verb = messages.VerbCreate },
			"Will deploy because nothing is deployed yet\n\n  create    VM\n  create    persistent disk 1024 MiB, empty\n  create    stemcell        uploaded from dev 1\n", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := deployed()
			if c.state != nil {
				c.state(&s)
			}
			p := plan.Make(s, request(c.request), well())
			text, _, stepped := strings.Cut(p.Text(), "\nSteps: ")
			if !stepped {
				text = strings.TrimSuffix(text, steady)
			}
			if diff := cmp.Diff(c.want, text); diff != "" {
				t.Error(diff)
			}
			if p.Destroys() != c.losses || (len(p.Steps) > 1) != p.Changes {
				t.Errorf("destroys %v, changes %v with %v", p.Destroys(), p.Changes, p.Steps)
			}
		})
	}
}

func TestDrift(t *testing.T) {
	t.Parallel()
	no := false
	for name, c := range map[string]struct {
		seen func(*plan.Seen)
		want string // of the finding: kind, cid and the beginning of its text
	}{
		"none":                 {func(*plan.Seen) {}, ""},
		"nobody was asked":     {func(s *plan.Seen) { *s = plan.Seen{} }, ""},
		"the VM is gone":       {func(s *plan.Seen) { s.VM, s.Attached = false, nil }, "vm vm-1 does not exist"},
		"the VM stands":        {func(s *plan.Seen) { s.Tagged[0].Status = "SHUTOFF" }, "vm vm-1 is SHUTOFF"},
		"the agent is silent":  {func(s *plan.Seen) { s.Agent = &no }, "vm vm-1 its agent does not answer"},
		"the disk is gone":     {func(s *plan.Seen) { s.Disks["vol-1"] = false }, "disk vol-1 does not exist"},
		"the disk is loose":    {func(s *plan.Seen) { s.Attached = []string{} }, "disk vol-1 is not attached"},
		"disks cannot be told": {func(s *plan.Seen) { s.Attached = nil }, ""},
		"a second server": {func(s *plan.Seen) {
			s.Tagged = append(s.Tagged, messages.Resource{Kind: "vm", CID: "vm-0", Status: "ACTIVE", Step: "abcdefgh1234-create_vm-1"})
		}, "vm vm-0 carries this deployment's tag"},
		"what an open intent made": {func(s *plan.Seen) {
			s.Tagged = append(s.Tagged, messages.Resource{Kind: "disk", CID: "vol-2", Step: "abcdefgh1234-create_disk-2"})
		}, ""},
	} {
		s := deployed().Snapshot
		s.Open = map[string]messages.Intent{"abcdefgh1234-create_disk-2": {}}
		seen := well()
		c.seen(&seen)
		got := ""
		for _, f := range plan.Compare(s, seen) {
			got += f.Kind + " " + f.CID + " " + f.Text
		}
		if c.want == "" && got != "" || !strings.HasPrefix(got, c.want) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/microbosh/microbosh/pkg/messages"
	"github.com/microbosh/microbosh/services/orchestrator/internal/doctor"
	"github.com/microbosh/microbosh/services/orchestrator/internal/journal"
	"github.com/microbosh/microbosh/services/orchestrator/internal/workflow"
)

// mostUIDs is how many deployments of one name are looked for: the last ones.
const mostUIDs = 16

// exam is one look at everything.
type exam struct {
	app    *app
	s      *session
	d      *chosen // nil: only the bus
	report *doctor.Report

	sight   sight
	history journal.History
	mute    bool // the cloud cannot be asked
}

// run makes the checks in the order in which what is wrong explains the rest.
// One that fails does not end the others.
func (e *exam) run(ctx context.Context) error {
	health, err := e.s.conn.Health(ctx)
	if err != nil {
		e.report.Add(doctor.Failed("bus", err))
		return err
	}
	e.report.Add(doctor.Bus(health), doctor.JetStream(health), e.streams(ctx), e.workers(ctx))
	known := e.readJournal(ctx)
	e.report.Add(doctor.Clocks(health, e.history.Stamps))
	e.report.Add(doctor.Certificates(e.certificates(ctx, health.Chain), time.Now()))
	if e.d == nil {
		e.report.Add(doctor.Skipped("cloud", "no deployment is chosen: its manifest names the cloud"))
		return ctx.Err()
	}
	e.report.Add(e.cloud(ctx))
	if known {
		e.report.Add(doctor.Journal(e.sight.state.Snapshot, e.running()), e.orphans(ctx))
	}
	return ctx.Err()
}

func (e *exam) streams(ctx context.Context) doctor.Check {
	drift, err := e.s.conn.Drift(ctx)
	if err != nil {
		return doctor.Failed("streams", err)
	}
	return doctor.Streams(drift)
}

// workers looks for the services of a control plane that stays, and at the
// queues that they work off.
func (e *exam) workers(ctx context.Context) doctor.Check {
	if e.s.alone() {
		return doctor.Skipped("services", "each command starts its own")
	}
	names := []string{messages.ServiceOrchestrator, messages.ServiceRegistry}
	queues := []messages.Consumer{messages.CommandConsumer()}
	if e.d != nil {
		names = append(names, messages.CPIService(e.d.manifest.Cloud.Plugin))
		queues = append(queues, messages.StepConsumer(e.d.manifest.Cloud.Plugin))
	}
	var missing, drift []string
	for _, name := range names {
		serves, err := e.s.conn.Serves(ctx, name)
		if err != nil {
			return doctor.Failed("services", err)
		}
		if !serves {
			missing = append(missing, name)
		}
	}
	for _, queue := range queues {
		words, err := e.s.conn.ConsumerDrift(ctx, queue)
		if err != nil {
			return doctor.Failed("services", err)
		}
		drift = append(drift, words...)
	}
	return doctor.Workers(names, missing, drift)
}

// readJournal tells whether the deployment's journal could be read.
func (e *exam) readJournal(ctx context.Context) bool {
	if e.d == nil {
		return false
	}
	name := e.d.manifest.Name
	var err error
	if e.sight, err = look(ctx, e.s, name); err == nil {
		e.history, err = journal.New(e.s.conn, "").History(ctx, name)
	}
	if err != nil {
		e.report.Add(doctor.Failed("journal", err))
		return false
	}
	return true
}

func (e *exam) running() bool { return e.sight.open() || e.sight.state.Run != nil }

// cloud asks the CPI what a deploy would meet.
func (e *exam) cloud(ctx context.Context) doctor.Check {
	m, state := e.d.manifest, e.sight.state
	properties, err := json.Marshal(m.Resources.CloudProperties)
	if err != nil {
		return doctor.Failed("cloud", fmt.Errorf("cannot encode the VM's cloud_properties: %w", err))
	}
	args := messages.PreflightArgs{CloudProperties: properties, Networks: m.Networks()}
	args.StemcellCID, _ = m.Resources.CloudProperties["image_id"].(string)
	if state.Stemcell != nil {
		args.StemcellCID = state.Stemcell.CID
	}
	if state.Disk == nil {
		args.DiskMiB = m.Resources.PersistentDisk
	}
	var reply messages.PreflightReply
	switch err := e.s.ask(ctx, m, messages.SvcPreflight, args, &reply); {
	case cannotTell(err):
		return doctor.Skipped("cloud", "the CPI for "+m.Cloud.Plugin+" cannot tell")
	case err != nil:
		e.mute = true
		return doctor.Failed("cloud", err)
	}
	return doctor.Cloud(m.Cloud.Plugin, reply, state.VM != nil)
}

// orphans looks for what any deployment of the name left. While a run is under
// way what it makes is in nobody's way.
func (e *exam) orphans(ctx context.Context) doctor.Check {
	if e.running() {
		return doctor.Skipped("orphans", "a run is under way: look again after its end")
	}
	if e.mute {
		return doctor.Skipped("orphans", "the cloud cannot be asked")
	}
	// By its uids everything of a deployment is found; by the name also what
	// another journal knows.
	wanted := []messages.FindArgs{{Deployment: e.d.manifest.Name}}
	for _, uid := range e.history.UIDs[:min(len(e.history.UIDs), mostUIDs)] {
		wanted = append(wanted, messages.FindArgs{UID: uid})
	}
	var tagged []messages.Resource
	for _, args := range wanted {
		var found messages.FindReply
		switch err := e.s.ask(ctx, e.d.manifest, messages.SvcFind, args, &found); {
		case cannotTell(err):
			return doctor.Skipped("orphans", "the CPI for "+e.d.manifest.Cloud.Plugin+" cannot tell")
		case err != nil:
			return doctor.Failed("orphans", err)
		}
		for _, r := range found.Resources {
			if !slices.Contains(tagged, r) {
				tagged = append(tagged, r)
			}
		}
	}
	check, sweep := doctor.Orphans(workflow.State{Snapshot: e.sight.state.Snapshot}, e.history, tagged)
	e.report.Orphans = sweep
	return check
}

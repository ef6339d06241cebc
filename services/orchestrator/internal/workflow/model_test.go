package workflow_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"runtime"
	"testing"
	"time"

	"github.com/microbosh/microbosh/pkg/messages"
	"github.com/microbosh/microbosh/services/orchestrator/internal/workflow"
)

// The model: orchestrators that are killed, paused and raced, a cloud that
// fails and forgets to answer, people who change their minds. Only what the
// journal's compare-and-set and the CPI's ledger promise is taken for granted.

const uid = "modeluid0"

type thing struct {
	kind string // image, server, volume
	data bool   // a volume that holds the deployment's data
	on   string // the server that a volume is attached to
}

type model struct {
	t     testing.TB
	r     *rand.Rand
	facts []workflow.Fact
	cloud map[string]*thing          // by CID
	done  map[string]json.RawMessage // the ledger: final results by step id
	fail  map[string]bool
	dead  map[string]bool // servers that answer no more
	now   time.Time
	runs  int
	alive bool            // the deployment's data exists somewhere
	trace []func() string // formatted only for a failure
}

// actor is an orchestrator: a state as far as it read.
type actor struct {
	name  string
	state workflow.State
	seq   int
}

func (m *model) logf(format string, args ...any) {
	m.trace = append(m.trace, func() string { return fmt.Sprintf(format, args...) })
}

func (m *model) load(a *actor) {
	from := len(m.facts)
	for from > 0 {
		from--
		if _, ok := m.facts[from].Body.(messages.Snapshot); ok {
			break
		}
	}
	a.state = workflow.Fold(workflow.State{Snapshot: messages.Snapshot{Deployment: "model"}}, m.facts[from:]...)
	a.seq = len(m.facts)
}

func (m *model) append(a *actor, run string, body any) bool {
	if a.seq != len(m.facts) {
		return false
	}
	m.now = m.now.Add(time.Second)
	f := workflow.Fact{Run: run, UID: uid, Time: m.now, Body: body}
	m.facts = append(m.facts, f)
	a.state, a.seq = workflow.Fold(a.state, f), len(m.facts)
	m.check()
	return true
}

// request is what the person asks for next.
func (m *model) request(s workflow.State) workflow.Request {
	m.runs++
	r := workflow.Request{
		Run: fmt.Sprintf("run-%d", m.runs), ConfigSHA1: pick(m.r, "c1", "c2"), StemcellSHA1: pick(m.r, "s1", "s2"),
		DiskMiB: pick(m.r, 1024, 2048), Recreate: m.r.IntN(8) == 0,
	}
	switch {
	case s.UID == "":
		r.Verb = messages.VerbCreate
	case m.r.IntN(5) == 0:
		r.Verb = messages.VerbDelete
	case m.r.IntN(4) == 0:
		r.Verb = pick(m.r, messages.VerbStop, messages.VerbStart)
	default:
		r.Verb = messages.VerbUpdate
	}
	return r
}

func pick[T any](r *rand.Rand, of ...T) T { return of[r.IntN(len(of))] }

// drive works on a run until it ends, the actor dies (false) or loses it.
func (m *model) drive(a *actor, r workflow.Request, stale *actor) bool {
	m.load(a)
	if !m.append(a, r.Run, messages.RunClaimed{Owner: a.name, Verb: r.Verb, Claim: 1}) {
		return false
	}
	for range 200 {
		if m.r.IntN(40) == 0 {
			m.logf("%s killed", a.name)
			return false
		}
		if m.r.IntN(60) == 0 {
			// A frozen process wakes up and tries to write what it knew.
			if m.append(stale, r.Run, messages.StepIntended{Step: workflow.StepCreateVM, StepID: "stale", N: 1}) {
				m.t.Fatal("a stale owner wrote to the journal")
			}
		}
		if m.r.IntN(80) == 0 && m.append(a, r.Run, messages.CancelRequested{}) {
			m.logf("cancel")
		}
		action := workflow.Decide(a.state, r)
		switch {
		case action.Finish != nil:
			m.append(a, r.Run, *action.Finish)
			m.logf("run %s: %s", r.Run, action.Finish.Outcome)
			m.settled(a.state, r, action.Finish.Outcome)
			if m.r.IntN(2) == 0 {
				m.append(a, r.Run, a.state.Snapshot)
			}
			return true
		case action.Intend != nil:
			i := *action.Intend
			i.StepID = messages.StepID(uid, i.Step, i.N)
			if i.Step == workflow.StepCreateVM {
				i.Inputs.AgentID, i.Inputs.VMName = fmt.Sprint("bm-", m.r.Int()), fmt.Sprint("vm-", m.r.Int())
			}
			m.append(a, r.Run, i)
		default:
			if done := m.execute(a, r, *action.Resume); done {
				return true
			}
		}
	}
	m.t.Fatalf("run %s does not end", r.Run)
	return false
}

// execute carries a step out; true means that the run ended needing attention.
func (m *model) execute(a *actor, r workflow.Request, intent messages.Intent) bool {
	id := intent.StepID
	inherited := intent.Run != r.Run
	if inherited && !onCPI(intent.Step) {
		m.append(a, r.Run, messages.StepFailed{Step: intent.Step, StepID: id, N: intent.N, Dropped: true, Error: &messages.Error{}})
		return false
	}
	_, final := m.done[id]
	if !final && !m.fail[id] {
		switch {
		case m.r.IntN(25) == 0:
			m.fail[id] = true
		case inherited && r.Verb == messages.VerbDelete && isCreate(intent.Step):
			m.fail[id] = true // settling: it was not there
		default:
			m.done[id] = m.effect(a.state, intent)
			m.logf("%s %+v", id, intent.Inputs)
		}
	}
	switch {
	case m.r.IntN(30) == 0: // the answer is lost: the run ends, the intent stays
		m.append(a, r.Run, messages.RunDone{Verb: r.Verb, Outcome: messages.OutcomeNeedsAttention, Step: intent.Step})
		m.logf("run %s: unsettled %s", r.Run, id)
		return true
	case m.fail[id]:
		m.append(a, r.Run, messages.StepFailed{Step: intent.Step, StepID: id, N: intent.N, Dropped: inherited, Error: &messages.Error{Code: messages.CodeCloudInvalid}})
	default:
		for range 1 + m.r.IntN(2) { // a duplicate changes nothing
			m.append(a, r.Run, messages.StepDone{Step: intent.Step, StepID: id, N: intent.N, Outputs: m.done[id]})
		}
	}
	return false
}

func onCPI(step string) bool {
	switch step {
	case workflow.StepCreateStemcell, workflow.StepDeleteStemcell, workflow.StepCreateVM, workflow.StepDeleteVM, workflow.StepSetVMMetadata,
		workflow.StepDiscoverIP, workflow.StepCreateDisk, workflow.StepDeleteDisk, workflow.StepAttachDisk, workflow.StepDetachDisk:
		return true
	}
	return false
}

func isCreate(step string) bool {
	return step == workflow.StepCreateStemcell || step == workflow.StepCreateVM || step == workflow.StepCreateDisk
}

func (m *model) effect(s workflow.State, intent messages.Intent) json.RawMessage {
	in, cid := intent.Inputs, "cid-"+intent.StepID
	var out any
	switch intent.Step {
	case workflow.StepCreateStemcell:
		m.cloud[cid] = &thing{kind: "image"}
		out = messages.CreateStemcellOutputs{CID: cid, Uploaded: true}
	case workflow.StepCreateVM:
		if m.cloud[in.StemcellCID] == nil {
			m.fatalf("a VM is booted from the image %s, which is gone", in.StemcellCID)
		}
		m.cloud[cid] = &thing{kind: "server"}
		out = messages.CreateVMOutputs{CID: cid}
	case workflow.StepCreateDisk:
		m.cloud[cid] = &thing{kind: "volume"}
		out = messages.CreateDiskOutputs{CID: cid, SizeMiB: in.SizeMiB}
	case workflow.StepDiscoverIP:
		out = messages.DiscoverIPOutputs{IP: "192.0.2.1", ServiceIP: "192.0.2.1"}
	case workflow.StepAttachDisk:
		if m.cloud[in.DiskCID] == nil || m.cloud[in.VMCID] == nil {
			m.fatalf("%s of things that are gone: %+v", intent.Step, in)
		}
		m.cloud[in.DiskCID].on = in.VMCID
		out = messages.AttachDiskOutputs{Hint: "/dev/sdb"}
	case workflow.StepMountDisk:
		m.attached(intent)
		if in.Role == workflow.RoleCurrent && !m.alive {
			m.alive, m.cloud[in.DiskCID].data = true, true
		}
	case workflow.StepMigrateDisk:
		m.attached(intent)
		m.cloud[in.DiskCID].data = m.cloud[in.OldDiskCID].data
	case workflow.StepDetachDisk:
		if v := m.cloud[in.DiskCID]; v != nil {
			v.on = ""
		}
	case workflow.StepDeleteDisk:
		if v := m.cloud[in.DiskCID]; v != nil && v.on != "" {
			m.fatalf("a volume is deleted while attached: %+v", in)
		}
		if v := m.cloud[in.DiskCID]; v != nil && v.data && s.Run.Verb == messages.VerbDelete {
			m.alive = false
		}
		delete(m.cloud, in.DiskCID)
	case workflow.StepDeleteVM:
		delete(m.cloud, in.VMCID)
		for _, v := range m.cloud {
			if v.on == in.VMCID {
				v.on = ""
			}
		}
	case workflow.StepDeleteStemcell:
		delete(m.cloud, in.StemcellCID)
	case workflow.StepCheckVM:
		if m.r.IntN(6) == 0 {
			m.dead[in.VMCID] = true
		}
		if m.r.IntN(8) == 0 {
			delete(m.cloud, in.VMCID)
			for _, v := range m.cloud {
				if v.on == in.VMCID {
					v.on = ""
				}
			}
		}
		exists := m.cloud[in.VMCID] != nil
		out = messages.CheckVMOutputs{Exists: exists, Answers: exists && !m.dead[in.VMCID]}
	}
	raw, err := json.Marshal(out)
	if err != nil {
		m.t.Fatal(err)
	}
	return raw
}

func (m *model) attached(intent messages.Intent) {
	if v := m.cloud[intent.Inputs.DiskCID]; v == nil || v.on != intent.Inputs.VMCID {
		m.fatalf("%s of a disk that is not attached: %+v", intent.Step, intent.Inputs)
	}
}

// check holds after every fact.
func (m *model) check() {
	servers := 0
	for _, v := range m.cloud {
		if v.kind == "server" {
			servers++
		}
	}
	if servers > 1 {
		m.fatalf("%d servers at once", servers)
	}
}

// settled holds at the end of every run: the cloud is what the journal says.
func (m *model) settled(s workflow.State, r workflow.Request, outcome messages.Outcome) {
	known := map[string]bool{}
	if s.VM != nil {
		known[s.VM.CID] = true
	}
	if s.Stemcell != nil {
		known[s.Stemcell.CID] = true
	}
	for _, old := range s.OldStemcells {
		known[old.CID] = true
	}
	data := false
	for _, d := range []*messages.Disk{s.Disk, s.NewDisk, s.OldDisk} {
		if d != nil {
			known[d.CID] = true
			data = data || (m.cloud[d.CID] != nil && m.cloud[d.CID].data)
		}
	}
	for _, intent := range s.Open {
		known["cid-"+intent.StepID] = true
	}
	for cid, v := range m.cloud {
		if !known[cid] {
			m.fatalf("the %s %s is forgotten", v.kind, cid)
		}
	}
	deleted := r.Verb == messages.VerbDelete && outcome == messages.OutcomeSucceeded
	switch {
	case deleted && len(m.cloud) > 0:
		m.fatalf("deleted, and %d things remain", len(m.cloud))
	case deleted:
		m.alive = false
		m.done, m.fail = map[string]json.RawMessage{}, map[string]bool{} // the next uid has other step ids
	case r.Verb != messages.VerbDelete && m.alive && !data:
		m.fatalf("the data is on no disk that the journal knows")
	case outcome == messages.OutcomeSucceeded && (r.Verb == messages.VerbStop || r.Verb == messages.VerbStart):
		if started := r.Verb == messages.VerbStart; s.VM.Running != started || started && s.ConfigSHA1 == "" {
			m.fatalf("after %s the jobs run: %v", r.Verb, s.VM.Running)
		}
	case r.Verb != messages.VerbDelete && outcome == messages.OutcomeSucceeded:
		if s.VM == nil || s.Disk == nil || !m.cloud[s.Disk.CID].data || s.ConfigSHA1 != r.ConfigSHA1 || s.NewDisk != nil || s.OldDisk != nil {
			m.fatalf("a finished deploy is incomplete: %+v", s.Snapshot)
		}
		if s.VM.ConfigSHA1 != r.ConfigSHA1 || (s.Disk.WantedMiB != r.DiskMiB) {
			m.fatalf("a finished deploy is not what was asked for")
		}
	}
}

func (m *model) fatalf(format string, args ...any) {
	m.t.Helper()
	for _, line := range m.trace {
		m.t.Log(line())
	}
	m.t.Fatalf(format, args...)
}

func history(t testing.TB, seed uint64) {
	m := &model{
		t: t, r: rand.New(rand.NewPCG(seed, 1)), cloud: map[string]*thing{}, done: map[string]json.RawMessage{},
		fail: map[string]bool{}, dead: map[string]bool{}, now: time.Unix(0, 0).UTC(),
	}
	m.logf("seed %d", seed)
	a, b := &actor{name: "a"}, &actor{name: "b"}
	for range 2 + m.r.IntN(4) {
		m.load(a)
		r := m.request(a.state)
		m.logf("%s %s config %s stemcell %s disk %d", r.Run, r.Verb, r.ConfigSHA1, r.StemcellSHA1, r.DiskMiB)
		for !m.drive(a, r, b) { // killed: the other one takes over
			a, b = b, a
		}
		a, b = b, a
	}
}

var histories = flag.Uint64("histories", 4000, "random histories to go through")

func TestRandomHistories(t *testing.T) {
	t.Parallel()
	workers := uint64(runtime.GOMAXPROCS(0))
	for worker := range workers {
		t.Run(fmt.Sprint(worker), func(t *testing.T) {
			t.Parallel()
			for seed := worker; seed < *histories; seed += workers {
				history(t, seed)
			}
		})
	}
}

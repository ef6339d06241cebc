package service_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/rs/zerolog"

	"github.com/microbosh/microbosh/pkg/bus"
	"github.com/microbosh/microbosh/pkg/bus/bustest"
	"github.com/microbosh/microbosh/pkg/manifest"
	"github.com/microbosh/microbosh/pkg/messages"
	"github.com/microbosh/microbosh/pkg/seal"
	"github.com/microbosh/microbosh/services/orchestrator/internal/service"
)

// lab is a real bus with scripted peers: a CPI whose cloud is a map, agents,
// and one Director.
type lab struct {
	t        *testing.T
	bus      buses
	conn     *bus.Conn
	keys     string
	director *httptest.Server

	ledger sync.Mutex // held from the look into it until the entry

	mu    sync.Mutex
	cloud map[string]string          // cid -> step id of its create
	made  map[string]int             // effects by step id
	fail  map[string]string          // method -> message: refused for good
	gate  map[string]chan any        // method -> closed when it may go on
	deaf  bool                       // agents hear nothing
	args  map[string]json.RawMessage // of the last step command, by method

	openstack string // more keys of the manifest's section
	tunnelKey string
	asked     map[string]int // agent methods
}

// buses are one node or three.
type buses interface {
	Connect(testing.TB, string) *bus.Conn
}

func newLab(t *testing.T) *lab { t.Helper(); return newLabOn(t, bustest.Start(t)) }

func newLabOn(t *testing.T, on buses) *lab {
	t.Helper()
	l := &lab{
		t: t, bus: on, keys: t.TempDir(), cloud: map[string]string{}, made: map[string]int{},
		fail: map[string]string{}, gate: map[string]chan any{}, args: map[string]json.RawMessage{}, asked: map[string]int{},
	}
	l.conn = l.bus.Connect(t, "lab")
	l.director = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, `{"name":"micro","uuid":"director-1","version":"1 (00000000)"}`)
	}))
	t.Cleanup(l.director.Close)
	for _, role := range []string{"orchestrator", "cpi"} {
		if _, err := seal.OpenRing(l.keys, role); err != nil {
			t.Fatal(err)
		}
	}
	conn := l.bus.Connect(t, "cpi")
	l.background(func(ctx context.Context) error {
		return conn.Work(ctx, messages.StepConsumer("openstack"), 4, func(ctx context.Context, job *bus.Job) error { return l.cpi(ctx, conn, job) })
	})
	l.background(func(ctx context.Context) error {
		return l.conn.Serve(ctx, bus.Service{Name: "cpi-openstack", Version: "0.0.1", Endpoints: map[string]func(context.Context, []byte) (any, error){
			messages.SvcHasVM: func(_ context.Context, body []byte) (any, error) {
				var call messages.CallRequest
				var args messages.VMArgs
				if err := errors.Join(json.Unmarshal(body, &call), json.Unmarshal(call.Args, &args)); err != nil {
					return nil, err
				}
				l.mu.Lock()
				defer l.mu.Unlock()
				_, ok := l.cloud[args.VMCID]
				return ok, nil
			},
		}})
	})
	stop, err := l.conn.Subscribe(t.Context(), "agent.*", l.agent)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	return l
}

// background runs until the test ends, and is waited for.
func (l *lab) background(run func(context.Context) error) context.CancelFunc {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := run(ctx); err != nil && ctx.Err() == nil {
			l.t.Error(err)
		}
	}()
	stop := func() { cancel(); <-done }
	l.t.Cleanup(stop)
	return stop
}

// orchestrator starts one; the returned function ends it between two messages.
func (l *lab) orchestrator() context.CancelFunc {
	ring, err := seal.OpenRing(l.keys, "orchestrator")
	if err != nil {
		l.t.Fatal(err)
	}
	conn := l.bus.Connect(l.t, "orchestrator")
	return l.background(func(ctx context.Context) error {
		return service.Run(ctx, service.Options{Conn: conn, Ring: ring, Keys: l.keys, Slots: 4, Log: zerolog.Nop(), Silence: time.Second})
	})
}

// cpi is a CPI with a ledger that never forgets.
func (l *lab) cpi(ctx context.Context, conn *bus.Conn, job *bus.Job) error {
	var c messages.StepCommand
	e, err := messages.Decode(job.Data, &c)
	if err != nil {
		return job.Drop(err.Error())
	}
	l.mu.Lock()
	gate := l.gate[c.Method]
	l.mu.Unlock()
	if gate != nil {
		select {
		case <-gate:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	l.ledger.Lock() // a command may come twice at once
	defer l.ledger.Unlock()
	subject := messages.ResultSubject("openstack", c.Method, e.Deployment, e.Step)
	last, err := conn.Last(ctx, messages.StreamResult, subject)
	if err == nil {
		return job.Done(ctx)
	}
	result := l.effect(e, c)
	out := messages.Envelope{ID: uuid.NewString(), Type: messages.Type(messages.ClassResult, c.Method), Source: "cpi", Deployment: e.Deployment, Step: e.Step}
	data, err := out.Encode(result)
	if err != nil {
		return err
	}
	if _, err := conn.Append(ctx, bus.Append{Subject: subject, Last: last.Seq, ID: out.ID, Data: data}); err != nil {
		return err
	}
	return job.Done(ctx)
}

func (l *lab) effect(e messages.Envelope, c messages.StepCommand) messages.Result {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.args[c.Method] = c.Args
	result := messages.Result{Status: messages.ResultDone, Method: c.Method, By: "lab"}
	if why := l.fail[c.Method]; why != "" {
		delete(l.fail, c.Method)
		result.Status, result.Error = messages.ResultFailed, messages.Errorf(messages.CodeCloudInvalid, "%s", why)
		return result
	}
	l.made[e.Step]++
	cid := "cid-" + e.Step
	var out any
	var args struct {
		VMCID   string `json:"vm_cid"`
		DiskCID string `json:"disk_cid"`
		CID     string `json:"cid"`
		Size    int    `json:"size_mib"`
	}
	_ = json.Unmarshal(c.Args, &args)
	switch c.Method {
	case messages.MethodCreateStemcell:
		l.cloud[cid] = e.Step
		out = messages.CreateStemcellOutputs{CID: cid, Uploaded: true}
	case messages.MethodCreateVM:
		l.cloud[cid] = e.Step
		out = messages.CreateVMOutputs{CID: cid}
	case messages.MethodCreateDisk:
		l.cloud[cid] = e.Step
		out = messages.CreateDiskOutputs{CID: cid, SizeMiB: args.Size}
	case messages.MethodDiscoverIP:
		out = messages.DiscoverIPOutputs{IP: "127.0.0.1", ServiceIP: "127.0.0.1"}
	case messages.MethodAttachDisk:
		out = messages.AttachDiskOutputs{Hint: "/dev/sdb"}
	case messages.MethodDeleteVM:
		delete(l.cloud, args.VMCID)
	case messages.MethodDeleteDisk:
		delete(l.cloud, args.DiskCID)
	case messages.MethodDeleteStemcell:
		delete(l.cloud, args.CID)
	}
	result.Outputs, _ = json.Marshal(out)
	return result
}

// agent answers for every agent whose VM lives.
func (l *lab) agent(m bus.Msg) {
	var r messages.AgentRequest
	if json.Unmarshal(m.Data, &r) != nil {
		return
	}
	l.mu.Lock()
	l.asked[r.Method]++
	deaf := l.deaf
	l.mu.Unlock()
	if deaf {
		return
	}
	var value any = map[string]any{}
	switch r.Method {
	case "ping":
		value = "pong"
	case "list_disk":
		l.mu.Lock()
		var disks []string
		for cid := range l.cloud {
			if strings.Contains(cid, "create_disk") {
				disks = append(disks, cid)
			}
		}
		l.mu.Unlock()
		value = disks
	case "apply", "stop":
		value = messages.AgentTask{AgentTaskID: "task-" + r.Method, State: "running"}
	case "get_state": // as an agent whose start returns at once
		l.mu.Lock()
		state := "starting"
		if l.asked["get_state"]%3 == 0 {
			state = "running"
		}
		l.mu.Unlock()
		value = map[string]any{"job_state": state, "processes": []any{}}
	case "get_task":
		value = "done"
	}
	reply := map[string]any{"value": value}
	if r.Method == "add_persistent_disk" || r.Method == "run_script" {
		reply = map[string]any{"exception": map[string]string{"message": "unknown message " + r.Method}}
	}
	body, err := json.Marshal(reply)
	if err == nil {
		err = l.conn.Publish(r.ReplyTo, body)
	}
	if err != nil {
		l.t.Error(err)
	}
}

const uid = "labdeployment"

// send publishes a request and gives its run id.
func (l *lab) send(verb messages.Verb, sha string, disk int) string {
	l.t.Helper()
	u, err := url.Parse(l.director.URL)
	if err != nil {
		l.t.Fatal(err)
	}
	port, err := strconv.Atoi(u.Port())
	if err != nil {
		l.t.Fatal(err)
	}
	text := fmt.Sprintf("name: micro\nnetwork: {type: dynamic}\nresources: {persistent_disk: %d}\ncloud:\n  plugin: openstack\n  properties:\n"+
		"    openstack: {auth_url: 'http://k/v3', username: u, api_key: marker-password%s}\n    agent: {mbus: 'nats://u:marker-mbus@host:1'}\n", disk, l.openstack)
	m, err := manifest.Parse("m", []byte(text))
	if err != nil {
		l.t.Fatal(err)
	}
	public, secrets, err := m.Split()
	if err != nil {
		l.t.Fatal(err)
	}
	spec := fmt.Sprintf(`{"job":{"name":"micro"},"properties":{"director":{"port":%d}}}`, port)
	ring, err := seal.Ephemeral()
	if err != nil {
		l.t.Fatal(err)
	}
	to, err := seal.PublicKey(l.keys, "orchestrator")
	if err != nil {
		l.t.Fatal(err)
	}
	sealed, err := ring.Seal(to, messages.CommandSecrets{Manifest: secrets, ApplySpec: json.RawMessage(spec), TunnelKey: l.tunnelKey})
	if err != nil {
		l.t.Fatal(err)
	}
	run := uuid.NewString()
	e := messages.Envelope{ID: run, Type: messages.Type(messages.ClassCommand, string(verb)), Source: "test", Deployment: "micro", DeploymentUID: uid, Run: run, Time: time.Now()}
	data, err := e.Encode(messages.Command{
		Verb: verb, Manifest: public, Secrets: sealed, ConfigSHA1: m.ConfigSHA1(),
		Stemcell: &messages.StemcellRef{Path: "/s.tgz", Name: "s", Version: "1", SHA1: sha},
	})
	if err != nil {
		l.t.Fatal(err)
	}
	if _, err := l.conn.Send(l.t.Context(), messages.CommandSubject("micro"), run, data); err != nil {
		l.t.Fatal(err)
	}
	return run
}

// story follows the journal from its beginning until a run is closed, calling
// see for each fact, and gives its end.
func (l *lab) story(run string, see func(fact string, e messages.Envelope)) messages.RunDone {
	l.t.Helper()
	ctx, cancel := context.WithTimeout(l.t.Context(), time.Minute)
	defer cancel()
	feed, err := l.conn.Follow(ctx, messages.StreamJournal, []string{messages.JournalFilter("micro")}, bus.Start{})
	if err != nil {
		l.t.Fatal(err)
	}
	defer feed.Stop()
	for {
		m, err := feed.Next(ctx)
		if err != nil {
			l.t.Fatalf("the run %s does not end: %v", run, err)
		}
		if strings.Contains(string(m.Data), "marker") {
			l.t.Errorf("a secret is in the journal: %s", m.Data)
		}
		e, err := messages.Decode(m.Data, nil)
		if err != nil || e.Run != run {
			continue
		}
		fact := e.TypeName(messages.ClassFact)
		if see != nil {
			see(fact, e)
		}
		if fact == messages.FactRunDone {
			var done messages.RunDone
			if err := e.Into(&done); err != nil {
				l.t.Fatal(err)
			}
			l.closed(ctx, run)
			return done
		}
	}
}

// closed waits until the run's request has left its slot.
func (l *lab) closed(ctx context.Context, run string) {
	l.t.Helper()
	feed, err := l.conn.Follow(ctx, messages.StreamEvent, []string{messages.EventSubject("micro", "*", messages.EventRunClosed)}, bus.Start{})
	if err != nil {
		l.t.Fatal(err)
	}
	defer feed.Stop()
	for {
		m, err := feed.Next(ctx)
		if err != nil {
			l.t.Fatalf("the run %s is not closed: %v", run, err)
		}
		if e, err := messages.Decode(m.Data, nil); err == nil && e.Run == run {
			return
		}
	}
}

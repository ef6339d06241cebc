package openstack_test

import (
	"context"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/rs/zerolog"

	"github.com/microbosh/microbosh/deploy/devcloud"
	"github.com/microbosh/microbosh/pkg/bus"
	"github.com/microbosh/microbosh/pkg/bus/bustest"
	"github.com/microbosh/microbosh/pkg/daemon"
	"github.com/microbosh/microbosh/pkg/messages"
	"github.com/microbosh/microbosh/pkg/seal"
	"github.com/microbosh/microbosh/pkg/stemcell"
	"github.com/microbosh/microbosh/services/cpi-openstack/internal/cpi"
	"github.com/microbosh/microbosh/services/cpi-openstack/internal/openstack"
)

const (
	uid      = "k3v9q2m1xa"
	patience = 30 * time.Second
)

// world is a devcloud, a bus, a registry and a CPI.
type world struct {
	t        *testing.T
	cloud    *devcloud.Cloud
	bus      *bustest.Bus
	conn     *bus.Conn
	ring     *seal.Ring
	registry *shelf
	dir      string
	vmName   string
	log      *logs
	stop     func()         // ends the first CPI
	override map[string]any // of the openstack properties
}

// logs is what the CPI said.
type logs struct {
	mu   sync.Mutex
	text strings.Builder // guarded by mu
}

func (l *logs) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logs) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func newWorld(t *testing.T, changes ...func(*devcloud.Options)) *world {
	t.Helper()
	w := &world{t: t, dir: t.TempDir(), bus: bustest.Start(t), vmName: "vm-" + uuid.NewString(), log: &logs{}}
	w.conn = w.bus.Connect(t, "test")
	keys := filepath.Join(w.dir, "keys")
	var err error
	if w.ring, err = seal.OpenRing(keys, messages.RoleCPI); err != nil {
		t.Fatal(err)
	}
	w.registry = &shelf{stored: map[string]messages.SettingsPut{}}
	if w.registry.ring, err = seal.OpenRing(keys, messages.RoleRegistry); err != nil {
		t.Fatal(err)
	}
	for path, text := range map[string]string{"registry.json": `{"url":"http://192.0.2.9:25777"}`, "keys/registry.http": "user:pass\n"} {
		if err := os.WriteFile(filepath.Join(w.dir, path), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	options := devcloud.Options{Dir: filepath.Join(w.dir, "cloud")}
	for _, change := range changes {
		change(&options)
	}
	if w.cloud, err = devcloud.New(options); err != nil {
		t.Fatal(err)
	}
	w.background(w.cloud.Run)
	w.serve()
	return w
}

// background runs something until the test ends.
func (w *world) background(run func(context.Context) error) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- run(ctx) }()
	w.t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			w.t.Errorf("a service ended with %v", err)
		}
	})
}

// serve runs the registry and the first CPI.
func (w *world) serve() {
	w.t.Helper()
	up := make(chan struct{}, 1)
	conn := w.bus.Connect(w.t, "registry")
	w.background(func(ctx context.Context) error {
		return conn.Serve(ctx, bus.Service{
			Name: messages.ServiceRegistry, Version: "1.0.0", Endpoints: w.registry.endpoints(), Ready: func() { up <- struct{}{} },
		})
	})
	w.await(up)
	w.stop = w.start()
}

// start runs a CPI; stop ends it as a crash would, in the middle of what it
// does.
func (w *world) start() (stop func()) {
	w.t.Helper()
	up, conn := make(chan struct{}, 1), w.bus.Connect(w.t, "cpi")
	cloud := openstack.New(openstack.Options{Bus: conn, Ring: w.ring, Keys: filepath.Join(w.dir, "keys"), Registry: filepath.Join(w.dir, "registry.json")})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() {
		done <- cpi.Run(ctx, cpi.Options{
			Conn: conn, Ring: w.ring, Cloud: openstack.Name, Slots: 2, Settle: 500 * time.Millisecond, Grace: 2 * time.Second,
			Methods: cloud.Methods(), Queries: cloud.Queries(), Info: openstack.Info(), Ready: func() { up <- struct{}{} },
			Log: zerolog.New(zerolog.MultiLevelWriter(zerolog.NewTestWriter(w.t), w.log)),
		})
	}()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			w.t.Errorf("the CPI ended with %v", err)
		}
	})
	w.t.Cleanup(stop)
	w.await(up)
	return stop
}

func (w *world) await(up <-chan struct{}) {
	w.t.Helper()
	select {
	case <-up:
	case <-time.After(patience):
		w.t.Fatal("a service is not ready")
	}
}

func (w *world) secrets() *messages.Sealed {
	w.t.Helper()
	access := map[string]any{
		"auth_url": w.cloud.AuthURL(), "username": devcloud.User, "api_key": w.cloud.Password(), "tenant": devcloud.Project,
		"region": devcloud.Region, "default_key_name": "dev",
	}
	maps.Copy(access, w.override)
	properties, err := json.Marshal(map[string]any{"openstack": access, "agent": map[string]any{"ntp": []string{"192.0.2.123"}}})
	if err != nil {
		w.t.Fatal(err)
	}
	box, err := w.ring.Seal(w.ring.Public(), messages.StepSecrets{
		Properties: properties, Mbus: "nats://agent:marker@192.0.2.8:4222", Env: json.RawMessage(`{"bosh":{"password":"marker"}}`),
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return box
}

// do has a step done and gives its final result.
func (w *world) do(method string, n int, args any) messages.Result {
	w.t.Helper()
	w.send(method, n, args)
	return w.result(method, n)
}

func (w *world) send(method string, n int, args any) {
	w.t.Helper()
	raw, err := json.Marshal(args)
	if err != nil {
		w.t.Fatal(err)
	}
	data, err := messages.Envelope{
		ID: uuid.NewString(), Type: messages.Type(messages.ClassStep, method), Source: "test", Time: time.Now(),
		Deployment: "micro", DeploymentUID: uid, Run: "r1", Step: messages.StepID(uid, method, n),
	}.Encode(messages.StepCommand{Method: method, Args: raw, Secrets: w.secrets(), Deadline: time.Now().Add(patience)})
	if err != nil {
		w.t.Fatal(err)
	}
	if _, err := w.conn.Send(w.t.Context(), messages.StepSubject(openstack.Name, method, "micro"), "", data); err != nil {
		w.t.Fatal(err)
	}
}

// result waits for a step's result.
func (w *world) result(method string, n int) messages.Result {
	w.t.Helper()
	step := messages.StepID(uid, method, n)
	ctx, cancel := context.WithTimeout(w.t.Context(), patience)
	defer cancel()
	subject := messages.ResultSubject(openstack.Name, method, "micro", step)
	feed, err := w.conn.Follow(ctx, messages.StreamResult, []string{subject}, bus.Start{LastPerSubject: true})
	if err != nil {
		w.t.Fatal(err)
	}
	defer feed.Stop()
	for {
		m, err := feed.Next(ctx)
		if err != nil {
			w.t.Fatalf("%s did not end: %v", step, err)
		}
		var r messages.Result
		if _, err := messages.Decode(m.Data, &r); err != nil {
			w.t.Fatal(err)
		}
		if r.Status.Final() || r.Status == messages.ResultUnsettled {
			return r
		}
	}
}

// forget empties a step's ledger entry, as if its last word had been lost.
func (w *world) forget(method string, n int) {
	w.t.Helper()
	step := messages.StepID(uid, method, n)
	subject := messages.ResultSubject(openstack.Name, method, "micro", step)
	data, err := messages.Envelope{
		ID: uuid.NewString(), Type: messages.Type(messages.ClassResult, method), Source: "test", Time: time.Now(), Deployment: "micro", Step: step,
	}.Encode(messages.Result{Status: messages.ResultWorking, Method: method})
	if err != nil {
		w.t.Fatal(err)
	}
	if _, err := w.conn.Send(w.t.Context(), subject, "", data); err != nil {
		w.t.Fatal(err)
	}
}

// must does a step that has to succeed.
func (w *world) must(method string, n int, args, outputs any) {
	w.t.Helper()
	r := w.do(method, n, args)
	if r.Status != messages.ResultDone {
		w.t.Fatalf("%s is %s: %v", method, r.Status, r.Error)
	}
	if outputs != nil {
		if err := json.Unmarshal(r.Outputs, outputs); err != nil {
			w.t.Fatal(err)
		}
	}
}

func tags(method string, n int) messages.Tags {
	return messages.Tags{Deployment: "micro", UID: uid, Step: messages.StepID(uid, method, n)}
}

// stemcell builds a small one and refers to it.
func (w *world) stemcell() messages.CreateStemcellArgs {
	w.t.Helper()
	path := filepath.Join(w.dir, "stemcell.tgz")
	err := stemcell.Build(stemcell.Options{
		Output: path, Name: "bosh-dev", Version: "1", Formats: []string{"openstack-raw"},
		CloudProperties: map[string]any{"disk_format": "raw", "container_format": "bare", "os_type": "linux", "architecture": "x86_64"},
		Root: stemcell.RootTar([]stemcell.File{
			{Path: "var/vcap/bosh/bin/bosh-agent", Mode: 0o755, Data: []byte("#!/bin/sh\n")},
		}),
	})
	if err != nil {
		w.t.Fatal(err)
	}
	found, err := stemcell.Open(path)
	if err != nil {
		w.t.Fatal(err)
	}
	return messages.CreateStemcellArgs{
		Stemcell: messages.StemcellRef{Path: path, Host: daemon.HostID(), Name: "bosh-dev", Version: "1", SHA1: found.SHA1},
		Tags:     tags(messages.MethodCreateStemcell, 1),
	}
}

func (w *world) vm(image string) messages.CreateVMArgs {
	return messages.CreateVMArgs{
		AgentID: "bm-1", Name: w.vmName, StemcellCID: image, CloudProperties: json.RawMessage(`{"instance_type":"m1.small"}`),
		Networks: map[string]messages.Network{"bosh": {Type: "dynamic", Default: []string{"dns", "gateway"}}},
		Tags:     tags(messages.MethodCreateVM, 1),
	}
}

func (w *world) disk() messages.CreateDiskArgs {
	return messages.CreateDiskArgs{SizeMiB: 1500, Tags: tags(messages.MethodCreateDisk, 1)}
}

func (w *world) faults(list ...devcloud.Fault) {
	w.t.Helper()
	if err := w.cloud.SetFaults(list...); err != nil {
		w.t.Fatal(err)
	}
}

package conformance_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/microbosh/microbosh/pkg/bus"
	"github.com/microbosh/microbosh/pkg/bus/embed"
	"github.com/microbosh/microbosh/pkg/daemon"
	"github.com/microbosh/microbosh/pkg/messages"
	"github.com/microbosh/microbosh/pkg/seal"
	"github.com/microbosh/microbosh/pkg/stemcell"
	"github.com/microbosh/microbosh/test/lab"
)

const (
	cloudName  = "openstack"
	deployment = "conform"

	// patience is for one step, with a real cloud and a machine that builds.
	patience = 3 * time.Minute
)

// rig is a bus, a registry and a CPI as processes, before a cloud.
type rig struct {
	t     *testing.T
	cloud target
	wire  *wire
	dir   string
	conn  *bus.Conn
	ring  *seal.Ring
	to    string // the CPI's public key
	cpi   *lab.Process
	admin *client

	uid      string
	n        map[string]int // uses of each method
	override map[string]any // of the openstack properties
	deadline time.Duration  // of a step, default a little less than patience
}

func newRig(t *testing.T, cloud target) *rig {
	t.Helper()
	r := &rig{t: t, cloud: cloud, wire: newWire(t), dir: t.TempDir(), uid: newUID(), n: map[string]int{}}
	bin := lab.Programs(t)
	state := filepath.Join(r.dir, "state")
	if err := os.MkdirAll(state, 0o700); err != nil {
		t.Fatal(err)
	}
	lab.Run(t, filepath.Join(state, "bus"), filepath.Join(bin, "microbosh"), "bus", "--dir", state)
	at, err := embed.ReadAddress(state)
	if err != nil {
		t.Fatal(err)
	}
	keys := filepath.Join(state, "keys")
	if r.ring, err = seal.OpenRing(keys, messages.RoleOrchestrator); err != nil {
		t.Fatal(err)
	}
	lab.Run(t, filepath.Join(state, "registry"), filepath.Join(bin, "microbosh-registry"), "--listen", "127.0.0.1:0", "--bus", at, "--keys", keys)
	r.cpi = lab.Run(t, filepath.Join(state, "cpi"), filepath.Join(bin, "microbosh-cpi-openstack"), "--bus", at, "--keys", keys, "--settle", cloud.settle.String())
	if r.to, err = seal.PublicKey(keys, messages.RoleCPI); err != nil {
		t.Fatal(err)
	}
	r.conn, err = bus.Connect(t.Context(), bus.Options{
		URL: at, Name: "conformance", SeedFile: embed.KeyFile(state, messages.RoleOrchestrator), InboxPrefix: messages.InboxPrefix(messages.RoleOrchestrator),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.conn.Close)
	r.admin = signIn(t, cloud)
	t.Cleanup(func() { r.admin.sweep(r.uid) })
	return r
}

func newUID() string { return "u" + uuid.NewString()[:8] }

func (r *rig) properties() map[string]any {
	openstack := map[string]any{
		"auth_url": r.wire.through(r.cloud.AuthURL), "username": r.cloud.Username, "api_key": r.cloud.Password,
		"tenant": r.cloud.Project, "region": r.cloud.Region,
	}
	maps.Copy(openstack, r.override)
	return map[string]any{"openstack": openstack, "agent": map[string]any{}}
}

func (r *rig) secrets() *messages.Sealed {
	r.t.Helper()
	properties, err := json.Marshal(r.properties())
	if err != nil {
		r.t.Fatal(err)
	}
	box, err := r.ring.Seal(r.to, messages.StepSecrets{Properties: properties, Mbus: "nats://agent:secret@127.0.0.1:4222"})
	if err != nil {
		r.t.Fatal(err)
	}
	return box
}

// next is the step id of a method's next use.
func (r *rig) next(method string) string {
	r.n[method]++
	return messages.StepID(r.uid, method, r.n[method])
}

func (r *rig) tags(step string) messages.Tags {
	return messages.Tags{Deployment: deployment, UID: r.uid, Step: step}
}

// do has a step done and gives its final result.
func (r *rig) do(method, step string, args any) messages.Result {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), patience)
	defer cancel()
	raw, err := json.Marshal(args)
	if err != nil {
		r.t.Fatal(err)
	}
	last := patience - 30*time.Second
	if r.deadline > 0 {
		last = r.deadline
	}
	data, err := messages.Envelope{
		ID: uuid.NewString(), Type: messages.Type(messages.ClassStep, method), Source: "conformance", Time: time.Now(),
		Deployment: deployment, DeploymentUID: r.uid, Run: "r1", Step: step,
	}.Encode(messages.StepCommand{Method: method, Args: raw, Secrets: r.secrets(), Deadline: time.Now().Add(last)})
	if err != nil {
		r.t.Fatal(err)
	}
	subject := messages.ResultSubject(cloudName, method, deployment, step)
	feed, err := r.conn.Follow(ctx, messages.StreamResult, []string{subject}, bus.Start{LastPerSubject: true})
	if err != nil {
		r.t.Fatal(err)
	}
	defer feed.Stop()
	if _, err := r.conn.Send(ctx, messages.StepSubject(cloudName, method, deployment), "", data); err != nil {
		r.t.Fatal(err)
	}
	for {
		m, err := feed.Next(ctx)
		if err != nil {
			r.t.Fatalf("%s does not end: %v", step, err)
		}
		var result messages.Result
		if _, err := messages.Decode(m.Data, &result); err != nil {
			r.t.Fatal(err)
		}
		if result.Status.Final() || result.Status == messages.ResultUnsettled {
			return result
		}
	}
}

// must does a step that has to succeed, and gives its CID.
func (r *rig) must(method, step string, args any) string {
	r.t.Helper()
	result := r.do(method, step, args)
	if result.Status != messages.ResultDone {
		r.t.Fatalf("%s is %s: %+v", step, result.Status, result.Error)
	}
	return result.CID
}

// refuse does a step that has to fail with a code.
func (r *rig) refuse(want messages.Code, method string, args any) *messages.Error {
	r.t.Helper()
	step := r.next(method)
	if tagged, ok := args.(func(string) any); ok {
		args = tagged(step)
	}
	result := r.do(method, step, args)
	if result.Status != messages.ResultFailed || result.Error == nil || result.Error.Code != want {
		r.t.Errorf("%s is %s with %+v, want failed with %s", step, result.Status, result.Error, want)
		return &messages.Error{}
	}
	return result.Error
}

// ask reads something.
func (r *rig) ask(method string, args, into any) error {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), time.Minute)
	defer cancel()
	raw, err := json.Marshal(args)
	if err != nil {
		r.t.Fatal(err)
	}
	return r.conn.Call(ctx, messages.ServiceSubject(messages.CPIService(cloudName), method), messages.CallRequest{Args: raw, Secrets: r.secrets()}, into)
}

// stemcell builds one with an image of so many bytes more than it needs.
func (r *rig) stemcell() messages.StemcellRef {
	r.t.Helper()
	path := filepath.Join(r.dir, "stemcell.tgz")
	err := stemcell.Build(stemcell.Options{
		Output: path, Name: "bosh-dev", Version: "1", Formats: []string{"openstack-raw"},
		CloudProperties: map[string]any{"disk_format": "raw", "container_format": "bare", "os_type": "linux", "architecture": "x86_64"},
		Root:            stemcell.RootTar([]stemcell.File{{Path: "var/vcap/bosh/bin/bosh-agent", Mode: 0o755, Data: []byte("#!/bin/sh\n")}}),
	})
	if err != nil {
		r.t.Fatal(err)
	}
	found, err := stemcell.Open(path)
	if err != nil {
		r.t.Fatal(err)
	}
	return messages.StemcellRef{Path: path, Host: daemon.HostID(), Name: "bosh-dev", Version: "1", SHA1: found.SHA1}
}

// address is one of the private network's that nothing else asks for.
func (r *rig) address(n byte) string {
	octets := r.cloud.Private.CIDR.Addr().As4()
	octets[3] = n
	return fmt.Sprintf("%d.%d.%d.%d", octets[0], octets[1], octets[2], octets[3])
}

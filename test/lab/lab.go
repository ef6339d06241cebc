package lab

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/microbosh/microbosh/pkg/bus"
	"github.com/microbosh/microbosh/pkg/bus/bustest"
	"github.com/microbosh/microbosh/pkg/bus/embed"
	"github.com/microbosh/microbosh/pkg/messages"
)

// Options say what a lab runs.
type Options struct {
	Orchestrators int    // default 1
	CPIs          int    // default 1
	Proxies       bool   // each service reaches the bus through a proxy of its own
	Mbus          string // of the manifest, default nats://
	Elsewhere     bool   // the CPIs run on a host of another name, as it seems to them
	Quiet         bool   // programs log as in production, not everything
	NoBoot        bool   // servers become ACTIVE and boot nothing
	NoQuota       bool   // the cloud's project may have as much as it likes

	// Settle is the CPI's settle window, default 1s. It must be longer than any
	// fault keeps a create on its way, or a second create is the CPI's right.
	Settle time.Duration

	NoServices bool // the test starts them

	Plane    string // folder of a control plane whose bus runs already; "" = an embedded bus
	BusURL   string // of that bus
	Registry string // host:port that its registry listens on
}

// Lab is a whole system on loopback.
type Lab struct {
	Dir      string // of the deployer: manifest and stemcell lie here
	Stemcell string
	Manifest string
	Name     string // of the deployment

	Cloud         *Process
	Bus           *Process
	Registry      *Process
	Orchestrators []*Process
	CPIs          []*Process
	Proxies       map[string]*bustest.Proxy // by a service's name: orchestrator0, registry, cpi0

	t      testing.TB
	quiet  bool
	settle time.Duration
	mbus   string
	state  string
	bin    string
	url    string // of devcloud
	folder string // Options.Plane
	busURL string // Options.BusURL
}

// Marker is in every secret of a lab's manifest.
const Marker = "marker0secret"

// Alone starts only the cloud: commands bring their own bus and services.
func Alone(t testing.TB, o Options) *Lab { t.Helper(); return alone(t, o) }

func alone(t testing.TB, o Options) *Lab {
	t.Helper()
	if o.Mbus == "" {
		o.Mbus = "nats://"
	}
	if o.Settle == 0 {
		o.Settle = time.Second
	}
	l := &Lab{quiet: o.Quiet, settle: o.Settle, mbus: o.Mbus, t: t, Dir: t.TempDir(), Name: "micro", bin: Programs(t)}
	l.state = filepath.Join(l.Dir, "state")
	if err := os.MkdirAll(l.state, 0o700); err != nil {
		t.Fatal(err)
	}
	password := filepath.Join(l.state, "password")
	if err := os.WriteFile(password, []byte(Marker+"-cloud"), 0o600); err != nil {
		t.Fatal(err)
	}
	l.Cloud = l.program("devcloud", "devcloud", "--dir", filepath.Join(l.state, "devcloud"), "--password-file", password, "--subnet", subnet(l.Dir), fmt.Sprintf("--no-boot=%t", o.NoBoot), fmt.Sprintf("--no-quota=%t", o.NoQuota))
	l.url = l.cloudURL()
	l.Stemcell = filepath.Join(l.Dir, "dev.tgz")
	l.Manifest = filepath.Join(l.Dir, "micro_bosh.yml")
	l.WriteManifest(1024, "")
	return l
}

// subnet gives each lab loopback addresses of its own: tests run side by side.
func subnet(dir string) string {
	h := fnv.New32a()
	_, _ = h.Write([]byte(dir)) // never fails
	n := h.Sum32()
	return fmt.Sprintf("127.%d.%d.0/24", 32+n%200, n/200%256)
}

// New starts everything.
func New(t testing.TB, o Options) *Lab {
	t.Helper()
	l := alone(t, o)
	l.folder, l.busURL = o.Plane, o.BusURL
	registry := []string{"--listen", "127.0.0.1:0"}
	if o.Plane == "" {
		l.Bus = l.program("bus", "microbosh", "bus", "--dir", l.state)
	} else {
		registry = []string{"--listen", o.Registry, "--advertise", "http://" + o.Registry}
	}
	if o.NoServices {
		return l
	}
	url := l.BusURL()
	l.Proxies = map[string]*bustest.Proxy{}
	service := func(role, name, program string, args ...string) *Process {
		via := url
		if o.Proxies {
			l.Proxies[name] = bustest.NewProxy(t, url)
			via = l.Proxies[name].URL()
		}
		args = append(args, "--bus", via, "--keys", l.keysOf(role))
		if o.Elsewhere && role == messages.RoleCPI {
			return l.elsewhere(name, program, args...)
		}
		return l.program(name, program, args...)
	}
	for i := range max(o.Orchestrators, 1) {
		l.Orchestrators = append(l.Orchestrators, service(messages.RoleOrchestrator, fmt.Sprint("orchestrator", i), "microbosh", "serve"))
	}
	l.Registry = service(messages.RoleRegistry, "registry", "microbosh-registry", registry...)
	for i := range max(o.CPIs, 1) {
		l.CPIs = append(l.CPIs, service(messages.RoleCPI, fmt.Sprint("cpi", i), "microbosh-cpi-openstack", "--settle", l.settle.String()))
	}
	return l
}

// Keys is the folder of the control plane's keys.
func (l *Lab) Keys() string { return filepath.Join(l.state, "keys") }

// keysOf is what the programs of a role are given as --keys.
func (l *Lab) keysOf(role string) string {
	if l.folder == "" {
		return l.Keys()
	}
	return filepath.Join(l.folder, role)
}

// State is the folder of everything that the lab's programs keep.
func (l *Lab) State() string { return l.state }

// AuthURL is where devcloud's Keystone answers.
func (l *Lab) AuthURL() string { return l.url + "/identity/v3" }

func (l *Lab) cloudURL() string {
	l.t.Helper()
	b, err := os.ReadFile(filepath.Join(l.state, "devcloud", "devcloud.json"))
	if err != nil {
		l.t.Fatal(err)
	}
	var about struct {
		URL string `json:"url"`
	}
	if err := json.Unmarshal(b, &about); err != nil {
		l.t.Fatal(err)
	}
	return about.URL
}

// WriteManifest writes micro_bosh.yml with a disk of so many MiB; extra lines
// go below apply_spec.properties.hm, to make another configuration.
func (l *Lab) WriteManifest(disk int, extra string) {
	l.t.Helper()
	text := fmt.Sprintf(`---
name: %s
network: {type: dynamic}
env: {bosh: {password: %s-env}}
resources:
  persistent_disk: %d
  cloud_properties: {instance_type: m1.small}
cloud:
  plugin: openstack
  properties:
    openstack: {auth_url: "%s", username: admin, api_key: %s-cloud, tenant: demo}
    agent: {mbus: "%s"}
apply_spec:
  properties: {hm: {password: "%s-hm%s"}}
`, l.Name, Marker, disk, l.AuthURL(), Marker, l.mbus, Marker, extra)
	if err := os.WriteFile(l.Manifest, []byte(text), 0o600); err != nil {
		l.t.Fatal(err)
	}
}

// BuildStemcell builds the dev stemcell.
func (l *Lab) BuildStemcell() {
	l.t.Helper()
	if out, code := l.CLI("stemcell", "build", "--output", l.Stemcell); code != 0 {
		l.t.Fatalf("cannot build the stemcell: %s", out)
	}
}

// CLI runs microbosh and gives what it printed and its exit code.
func (l *Lab) CLI(args ...string) (string, int) {
	l.t.Helper()
	ctx, cancel := context.WithTimeout(l.t.Context(), 2*time.Minute)
	defer cancel()
	cmd := l.Command(ctx, args...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	if ctx.Err() != nil {
		l.t.Fatalf("microbosh %s does not end:\n%s", strings.Join(args, " "), &out)
	}
	if err != nil && cmd.ProcessState == nil {
		l.t.Fatal(err)
	}
	return out.String(), cmd.ProcessState.ExitCode()
}

// Command is microbosh in the lab's folder, on its bus.
func (l *Lab) Command(ctx context.Context, args ...string) *exec.Cmd {
	l.t.Helper()
	cmd := exec.CommandContext(ctx, filepath.Join(l.bin, "microbosh"), args...)
	cmd.Dir = l.Dir
	cmd.Env = append(os.Environ(), "HOME="+l.Dir, "XDG_CONFIG_HOME=", "MICROBOSH_MANIFEST="+l.Manifest, "MICROBOSH_BUS=", "MICROBOSH_KEYS=", "MICROBOSH_SETTLE="+l.settle.String())
	if l.Bus != nil || l.busURL != "" {
		cmd.Env = append(cmd.Env, "MICROBOSH_BUS="+l.BusURL(), "MICROBOSH_KEYS="+l.keysOf(messages.RoleCLI))
	}
	return cmd
}

// BusURL is where the bus listens.
func (l *Lab) BusURL() string {
	l.t.Helper()
	if l.busURL != "" {
		return l.busURL
	}
	url, err := embed.ReadAddress(l.state)
	if err != nil {
		l.t.Fatal(err)
	}
	return url
}

// Connect connects with a role's identity for the length of the test.
func (l *Lab) Connect(role string) *bus.Conn {
	l.t.Helper()
	return l.dial(l.BusURL(), l.keysOf(role), role)
}

func (l *Lab) dial(url, keys, role string) *bus.Conn {
	l.t.Helper()
	conn, err := bus.Connect(l.t.Context(), bus.Options{
		URL: url, Name: "lab", SeedFile: filepath.Join(keys, role+".nk"), InboxPrefix: messages.InboxPrefix(role), Wait: ready,
	})
	if err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(conn.Close)
	return conn
}

// Inventory is what devcloud holds.
type Inventory struct {
	Servers     []Item `json:"servers"`
	Volumes     []Item `json:"volumes"`
	Images      []Item `json:"images"`
	Ports       []Item `json:"ports"`
	Snapshots   []Item `json:"snapshots"`
	FloatingIPs []Item `json:"floating_ips"`
}

// Item is one resource.
type Item struct {
	ID     string `json:"id"`
	Name   string `json:"name"`
	Status string `json:"status"`
}

// Empty tells whether nothing is left.
func (i Inventory) Empty() bool {
	return len(i.Servers)+len(i.Volumes)+len(i.Images)+len(i.Ports)+len(i.Snapshots)+len(i.FloatingIPs) == 0
}

// Fault is a way for devcloud to misbehave, as its API reads it.
type Fault struct {
	Mode    string `json:"mode"`
	Method  string `json:"method,omitempty"`
	Path    string `json:"path,omitempty"`
	Skip    int    `json:"skip,omitempty"`
	Count   int    `json:"count,omitempty"`
	Status  int    `json:"status,omitempty"`
	Message string `json:"message,omitempty"`
	Lists   int    `json:"lists,omitempty"`
	DelayMS int    `json:"delay_ms,omitempty"`
}

// Inventory asks devcloud what it holds.
func (l *Lab) Inventory() Inventory {
	l.t.Helper()
	resp, err := http.Get(l.url + "/devcloud/state")
	if err != nil {
		l.t.Fatal(err)
	}
	defer resp.Body.Close()
	var inv Inventory
	if err := json.NewDecoder(resp.Body).Decode(&inv); err != nil {
		l.t.Fatal(err)
	}
	return inv
}

// Faults sets how devcloud misbehaves.
func (l *Lab) Faults(list ...Fault) {
	l.t.Helper()
	body, err := json.Marshal(list)
	if err != nil {
		l.t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(l.t.Context(), http.MethodPut, l.url+"/devcloud/faults", bytes.NewReader(body))
	if err != nil {
		l.t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		l.t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode >= 300 {
		l.t.Fatalf("devcloud refuses the faults: %s", resp.Status)
	}
}

// Fact is a fact of the deployment's journal.
type Fact struct {
	messages.Envelope
	Name string
	Step string // its step's name, "" when it is about none
}

// Follow calls see for every fact of the deployment from the journal's
// beginning on, until it returns true.
func (l *Lab) Follow(conn *bus.Conn, see func(Fact) bool) {
	l.t.Helper()
	ctx, cancel := context.WithTimeout(l.t.Context(), 2*time.Minute)
	defer cancel()
	feed, err := conn.Follow(ctx, messages.StreamJournal, []string{messages.JournalFilter(l.Name)}, bus.Start{})
	if err != nil {
		l.t.Fatal(err)
	}
	defer feed.Stop()
	for {
		m, err := feed.Next(ctx)
		if err != nil {
			l.t.Fatalf("the fact that was waited for does not come: %v", err)
		}
		e, err := messages.Decode(m.Data, nil)
		if err != nil {
			l.t.Fatal(err)
		}
		var about struct {
			Step string `json:"step"`
		}
		_ = json.Unmarshal(e.Data, &about) // a fact about no step
		if see(Fact{e, e.TypeName(messages.ClassFact), about.Step}) {
			return
		}
	}
}

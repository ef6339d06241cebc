package stemcell_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/microbosh/microbosh/deploy/devcloud/namespace"
	"github.com/microbosh/microbosh/test/lab"
)

// Entering a network of its own starts this program once more.
func TestMain(m *testing.M) {
	namespace.Init()
	os.Exit(m.Run())
}

// inNetwork runs the test where servers can be namespaces.
func inNetwork(t *testing.T, body func(t *testing.T)) {
	t.Helper()
	if namespace.Entered() {
		body(t)
		return
	}
	given(t, "mke2fs", "qemu-img")
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	code, err := namespace.Enter([]string{self, "-test.run=^" + t.Name() + "$", "-test.v"})
	if errors.Is(err, fs.ErrPermission) {
		t.Skipf("needs namespaces, which this machine refuses: %v", err)
	}
	if err != nil || code != 0 {
		t.Fatalf("in its network the test ended with %d, %v", code, err)
	}
}

// Servers of a network of its own reach this machine here; nobody else is there.
const (
	gateway  = "10.20.0.1"
	cloudAPI = gateway + ":5000"
)

const manifestText = `name: %s
network: {type: dynamic}
resources:
  persistent_disk: 1024
  cloud_properties: {instance_type: m1.small}
cloud:
  plugin: openstack
  properties:
    openstack: {auth_url: 'http://%s/identity/v3', username: admin, api_key: '%s', tenant: demo}
    agent: {mbus: 'nats://'}
`

// operator is a folder with a manifest, and the bus that its commands use: none
// is one of their own.
type operator struct {
	*testing.T
	dir, name, password string
	bus, keys           string
}

func newOperator(t *testing.T, name, password string) *operator {
	t.Helper()
	o := &operator{T: t, dir: t.TempDir(), name: name, password: password}
	text := fmt.Sprintf(manifestText, name, cloudAPI, password)
	if err := os.WriteFile(filepath.Join(o.dir, "micro_bosh.yml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return o
}

func (o *operator) microbosh(args ...string) string {
	o.Helper()
	cmd := exec.CommandContext(o.Context(), filepath.Join(lab.Programs(o.T), "microbosh"), append([]string{"--yes", "-m", filepath.Join(o.dir, "micro_bosh.yml")}, args...)...)
	cmd.Dir = o.dir
	cmd.Env = append(os.Environ(), "MICROBOSH_BUS="+o.bus, "MICROBOSH_KEYS="+o.keys, "MICROBOSH_SETTLE=1s")
	out, err := cmd.CombinedOutput()
	if err != nil {
		o.Fatalf("microbosh %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// state is what the deployment consists of.
func (o *operator) state() (image, ip string) {
	o.Helper()
	var out struct {
		Value struct {
			State struct {
				Stemcell struct{ CID string }
				VM       struct{ IP string }
			}
		}
	}
	if err := json.Unmarshal([]byte(o.microbosh("status", "--json")), &out); err != nil {
		o.Fatal(err)
	}
	return out.Value.State.Stemcell.CID, out.Value.State.VM.IP
}

// keysOf copies the keys of the bus that runs in a server, as its owner would
// over SSH.
func (o *operator) keysOf(ip string) string {
	o.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		o.Fatal(err)
	}
	for _, file := range files {
		line, err := os.ReadFile(file)
		args := strings.Split(string(line), "\x00")
		if err != nil || !slices.Contains(args, "bus") || !slices.Contains(args, ip) || !bytes.Contains(line, []byte("/var/vcap/")) {
			continue
		}
		keys := o.TempDir()
		files, err := filepath.Glob(filepath.Join(filepath.Dir(file), "root/var/vcap/store/bus/keys/*"))
		if err != nil || len(files) == 0 {
			o.Fatalf("the bus has no keys: %v", err)
		}
		for _, file := range files {
			key, err := os.ReadFile(file)
			if err == nil {
				err = os.WriteFile(filepath.Join(keys, filepath.Base(file)), key, 0o600)
			}
			if err != nil {
				o.Fatal(err)
			}
		}
		return keys
	}
	o.Fatalf("no bus runs at %s", ip)
	return ""
}

// ownAccount looks at the services that run here: each is vcap, and can become
// nobody else.
func ownAccount(t *testing.T) {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, file := range files {
		line, err := os.ReadFile(file)
		program, rest, _ := strings.Cut(string(line), "\x00")
		if err != nil || !strings.Contains(program, "/packages/microbosh") {
			continue
		}
		verb, _, _ := strings.Cut(rest, "\x00")
		name := filepath.Base(program) + " " + verb
		seen[name] = true
		status, err := os.ReadFile(filepath.Join(filepath.Dir(file), "status"))
		if err != nil {
			t.Fatal(err)
		}
		const vcap = 1000 // as the recipe makes it
		for _, want := range []string{fmt.Sprintf("\nUid:\t%d\t", vcap), fmt.Sprintf("\nGid:\t%d\t", vcap), "\nGroups:\t \n", "\nCapBnd:\t0000000000000000\n", "\nNoNewPrivs:\t1\n"} {
			if !bytes.Contains(status, []byte(want)) {
				t.Errorf("%q is not so for %s:\n%s", want, name, status)
			}
		}
	}
	if len(seen) < 5 {
		t.Errorf("only these services run: %v", seen)
	}
}

// The micro BOSH that is deployed deploys another one: its own bus, registry,
// orchestrator and CPI do it, and nobody else knows. Made anew, it knows still.
func TestItDeploysByItself(t *testing.T) {
	inNetwork(t, func(t *testing.T) {
		s := given(t)
		cloud := filepath.Join(t.TempDir(), "cloud")
		lab.Run(t, filepath.Join(t.TempDir(), "devcloud"), filepath.Join(lab.Programs(t), "devcloud"), "--dir", cloud, "--listen", cloudAPI)
		secret, err := os.ReadFile(filepath.Join(cloud, "password"))
		if err != nil {
			t.Fatal(err)
		}
		outside := newOperator(t, "micro-one", strings.TrimSpace(string(secret)))
		outside.microbosh("deploy", s.Path)
		image, ip := outside.state()

		inside := newOperator(t, "micro-two", outside.password)
		inside.bus, inside.keys = "nats://"+net.JoinHostPort(ip, "4222"), outside.keysOf(ip)
		inside.microbosh("deploy", image)
		_, second := inside.state()
		if second == "" || second == ip {
			t.Fatalf("the second VM is at %q", second)
		}
		if known := outside.microbosh("deployments"); strings.Contains(known, "micro-two") {
			t.Errorf("the bus outside knows of it: %s", known)
		}

		ownAccount(t)
		outside.microbosh("deploy", s.Path, "--recreate")
		_, ip = outside.state()
		inside.bus = "nats://" + net.JoinHostPort(ip, "4222")
		if _, still := inside.state(); still != second {
			t.Errorf("made anew, it knows of a VM at %q, it was %q", still, second)
		}
		inside.microbosh("delete")
		outside.microbosh("delete")
	})
}

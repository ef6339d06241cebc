package e2e_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/microbosh/microbosh/pkg/bus"
	"github.com/microbosh/microbosh/pkg/messages"
	"github.com/microbosh/microbosh/test/lab"
)

// hiding is a manifest with a marker in every field that can hold a secret.
// Where the value must have a form, the marker is inside of it.
func hiding(l *lab.Lab, disk int, changed string) string {
	return fmt.Sprintf(`---
name: %[1]s
logging: {level: DEBUG}
network:
  type: dynamic
  cloud_properties: {fabric_password: %[2]s-network}
env:
  bosh:
    password: $6$%[2]s$envbosh
    authorized_keys: [ssh-rsa %[2]s-key]
    mbus: {cert: {private_key: "-----BEGIN RSA PRIVATE KEY-----\n%[2]s-mbus"}}
    blobstores: [{provider: local, options: {blobstore_path: /var/vcap/micro_bosh/data/cache, user: %[2]s-user, password: %[2]s-blob}}]
    token: %[2]s-token
  %[2]s-name: a key that is a secret
resources:
  persistent_disk: %[3]d
  persistent_disk_cloud_properties: {passphrase: %[2]s-disk}
  cloud_properties: {instance_type: m1.small, scheduler_token: %[2]s-vm, mirror: "http://u:%[2]s-mirror@host/"}
cloud:
  plugin: openstack
  properties:
    openstack:
      auth_url: "%[4]s"
      username: admin
      api_key: %[2]s-cloud
      tenant: demo
      private_key: %[5]s
      vendor_extension: %[2]s-vendor
      connection_options: {proxy: "http://u:%[2]s-proxy@host/"}
    registry: {endpoint: "http://u:%[2]s-registry@127.0.0.1:25777", user: %[2]s-reguser, password: %[2]s-regpass}
    stemcell: {mirror_credential: %[2]s-stemcell}
    agent:
      mbus: nats://
      ntp: ["ntp://u:%[2]s-ntp@host"]
      blobstore: {provider: local, options: {blobstore_path: /var/vcap/micro_bosh/data/cache, access_key: %[2]s-store}}
apply_spec:
  agent:
    blobstore: {address: %[2]s-address}
    nats: {user: %[2]s-nats, password: %[2]s-natspass}
  properties:
    hm: {http: {password: %[2]s-hm%[6]s}}
    director:
      ssl: {key: "-----BEGIN RSA PRIVATE KEY-----\n%[2]s-ssl", cert: "-----BEGIN CERTIFICATE-----\n%[2]s-sslcert"}
      db: {adapter: %[2]s-nothing-says-that-this-is-secret}
      list: [{user: a, word: %[2]s-list}]
`, l.Name, lab.Marker, disk, l.AuthURL(), filepath.Join(l.Dir, "key.pem"), changed)
}

// privateKey is a usable one, PEM.
func privateKey(t *testing.T) string {
	t.Helper()
	_, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

// TestLeak lives a life with a secret in every field and looks wherever anybody
// but their readers may look.
func TestLeak(t *testing.T) {
	t.Parallel()
	l := lab.New(t, lab.Options{})
	l.BuildStemcell()
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	key := privateKey(t)
	write(filepath.Join(l.Dir, "key.pem"), key)
	ops := l.Connect(messages.RoleOps)
	heard := listen(t, ops, "bosh.v1.>", "hm.>", "$JS.EVENT.ADVISORY.>")
	watch := watchProcesses(t, l, ops)
	secrets := []string{lab.Marker, strings.Split(key, "\n")[1]}
	said := map[string]string{}
	run := func(want int, args ...string) {
		t.Helper()
		out, code := l.CLI(args...)
		if code != want {
			t.Errorf("microbosh %s ended with %d, want %d:\n%s", strings.Join(args, " "), code, want, out)
		}
		said["microbosh "+strings.Join(args, " ")] += out
	}

	write(l.Manifest, hiding(l, 1024, ""))
	run(0, "deploy", l.Stemcell, "-n")
	first, all := agentCredentials(t, l)
	secrets = append(secrets, all...)
	for user, password := range first {
		conn, err := bus.Connect(t.Context(), bus.Options{URL: l.BusURL(), User: user, Password: password})
		if messages.CodeOf(err) != messages.CodeBusDenied {
			t.Errorf("the credential in the user data of %s is still good: %v", user, err)
			if err == nil {
				conn.Close()
			}
		}
	}
	watch.also(secrets...)
	run(0, "deploy", l.Stemcell, "-n", "--update", "--json")
	write(l.Manifest, hiding(l, 2048, "-changed"))
	run(10, "plan", l.Stemcell)
	run(10, "plan", l.Stemcell, "--json")
	run(0, "deploy", l.Stemcell, "-n", "--update", "--json")
	_, all = agentCredentials(t, l)
	for _, password := range all {
		if !slices.Contains(secrets, password) {
			secrets = append(secrets, password)
		}
	}
	watch.also(secrets...)
	for _, args := range [][]string{{"status"}, {"deployments"}, {"history"}, {"agent", "ping"}} {
		run(0, args...)
		run(0, append(args, "--json")...)
	}
	run(1, "agent", "no_such_method", "--json")
	write(l.Manifest, strings.Replace(hiding(l, 2048, "-changed-again"), lab.Marker+"-cloud", lab.Marker+"-wrong", 1))
	run(1, "deploy", l.Stemcell, "-n", "--update")
	write(l.Manifest, strings.Replace(hiding(l, 2048, ""), "persistent_disk: 2048", "persistent_disk: [x", 1))
	run(1, "deploy", l.Stemcell, "-n", "--update")
	write(l.Manifest, strings.Replace(hiding(l, 2048, ""), "api_key: ", "api_key: {a: [", 1))
	run(1, "deploy", l.Stemcell, "-n", "--update")
	write(l.Manifest, hiding(l, 2048, "-changed"))
	run(0, "delete", "-n")
	run(1, "delete", "-n")

	said["ops hears"] = heard()
	said["ops reads"] = readAll(t, ops)
	for what, text := range said {
		if s := shows([]byte(text), secrets); s != "" {
			t.Errorf("%s: a secret is told:\n%s", what, s)
		}
	}
	watch.end()
	noSecrets(t, l, secrets...)
}

// shows gives the line of b that tells a secret, in clear or in base64.
func shows(b []byte, secrets []string) string {
	for _, secret := range secrets {
		for _, form := range forms(secret) {
			if i := bytes.Index(b, []byte(form)); i >= 0 {
				begin, end := max(0, i-300), min(len(b), i+200)
				return string(bytes.ToValidUTF8(b[begin:end], []byte("?")))
			}
		}
	}
	return ""
}

// forms are a secret as it is, and what is the same in base64 wherever it
// begins.
func forms(secret string) []string {
	all := []string{secret}
	for shift := range 3 {
		text := base64.StdEncoding.EncodeToString([]byte(strings.Repeat("x", shift) + secret))
		skip := []int{0, 2, 3}[shift]
		whole := (shift + len(secret)) / 3 * 4
		all = append(all, text[skip:whole])
	}
	return all
}

// readAll is what an identity reads out of the streams itself.
func readAll(t *testing.T, conn *bus.Conn) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var b strings.Builder
	for _, stream := range []string{messages.StreamJournal, messages.StreamResult, messages.StreamEvent} {
		msgs, err := conn.Read(ctx, stream, messages.Root+".>", 0)
		if err != nil || len(msgs) == 0 {
			t.Fatalf("%s holds %d messages: %v", stream, len(msgs), err)
		}
		for _, m := range msgs {
			b.WriteString(m.Subject + " " + string(m.Data) + "\n")
		}
	}
	return b.String()
}

var mbus = regexp.MustCompile(`nats://(bm-[-0-9a-f]+):([A-Z2-7]+)@`)

// agentCredentials are those in the user data of VMs, by user, and all passwords
// that agents keep, out of what devcloud has.
func agentCredentials(t *testing.T, l *lab.Lab) (first map[string]string, all []string) {
	t.Helper()
	first = map[string]string{}
	err := filepath.WalkDir(filepath.Join(l.State(), "devcloud"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".json") || !d.Type().IsRegular() {
			return nil // a running VM's files come and go
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return nil
		}
		for _, m := range mbus.FindAllSubmatch(b, -1) {
			all = append(all, string(m[2]))
			if filepath.Base(path) != "update_settings.json" {
				first[string(m[1])] = string(m[2])
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(first) == 0 || len(all) <= len(first) {
		t.Fatal("no VM was given an identity, and another on first contact")
	}
	return first, all
}

// processes looks at what everybody on the machine can see of the lab's
// processes, at every fact of the journal.
type processes struct {
	t    *testing.T
	l    *lab.Lab
	stop func()

	mu      sync.Mutex
	secrets []string        // guarded by mu
	looked  map[string]bool // guarded by mu
}

func watchProcesses(t *testing.T, l *lab.Lab, conn *bus.Conn) *processes {
	t.Helper()
	p := &processes{t: t, l: l, secrets: []string{lab.Marker}, looked: map[string]bool{}}
	stop, err := conn.Subscribe(t.Context(), messages.JournalFilter(l.Name), func(bus.Msg) { p.look() })
	if err != nil {
		t.Fatal(err)
	}
	p.stop = stop
	return p
}

func (p *processes) also(secrets ...string) {
	p.mu.Lock()
	p.secrets = secrets
	p.mu.Unlock()
	p.look()
}

func (p *processes) look() {
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, file := range files {
		line, err := os.ReadFile(file)
		if err != nil {
			continue // it ended
		}
		environ, _ := os.ReadFile(filepath.Join(filepath.Dir(file), "environ")) // another user's, or it ended
		if !bytes.Contains(line, []byte(p.l.Dir)) && !bytes.Contains(environ, []byte(p.l.Dir)) {
			continue
		}
		name := string(bytes.ReplaceAll(line, []byte{0}, []byte(" ")))
		p.looked[name] = true
		if s := shows(slices.Concat(line, environ), p.secrets); s != "" {
			p.t.Errorf("the process %q shows a secret", name)
		}
	}
}

// end makes sure that every program was seen at work.
func (p *processes) end() {
	p.t.Helper()
	p.stop()
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, want := range []string{" bus ", " serve ", "microbosh-registry", "microbosh-cpi-openstack", "devcloud", "bosh-agent", " deploy ", " delete "} {
		if !slices.ContainsFunc(slicesOf(p.looked), func(line string) bool { return strings.Contains(line, want) }) {
			p.t.Errorf("no process like %q was looked at", want)
		}
	}
}

func slicesOf(set map[string]bool) []string {
	var out []string
	for s := range set {
		out = append(out, s)
	}
	return out
}

// noSecrets looks through everything that the control plane left on disk: logs,
// streams, state. Of a VM's own files, which hold in clear what BOSH puts there,
// only the logs are looked at.
func noSecrets(t *testing.T, l *lab.Lab, secrets ...string) {
	t.Helper()
	cloud := filepath.Join(l.State(), "devcloud")
	looked := 0
	err := filepath.WalkDir(l.Dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		own := path == l.Manifest || filepath.Base(path) == "password" || filepath.Base(path) == "key.pem"
		if own || (strings.HasPrefix(path, cloud) && !strings.Contains(filepath.Base(path), "log")) {
			return nil
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		looked++
		if s := shows(b, secrets); s != "" {
			t.Errorf("%s holds a secret:\n%s", path, s)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if looked < 20 {
		t.Errorf("only %d files were looked at", looked)
	}
}

package e2e_test

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/microbosh/microbosh/test/lab"
)

// The text of a manifest for a real cloud. Nothing in it is secret from its
// reader, who made it.
const openstackManifest = `name: %[1]s
network:
  type: dynamic
  vip: %[2]s
  cloud_properties: {net_id: %[3]s, security_groups: [bosh]}
resources:
  persistent_disk: %[4]d
  cloud_properties: {instance_type: m1.small}
cloud:
  plugin: openstack
  properties:
    openstack: {auth_url: '%[5]s', username: %[6]s, api_key: '%[7]s', tenant: %[8]s%[9]s}
    agent: {mbus: '%[10]s'}
`

// deployer is a person in a folder with a manifest and two stemcells.
type deployer struct {
	*testing.T
	cloud   *openstack
	dir, ip string
	name    string
	more    string // of the openstack section
	mbus    string
}

func newDeployer(t *testing.T, cloud *openstack, name, mbus, more string) *deployer {
	t.Helper()
	d := &deployer{T: t, cloud: cloud, dir: t.TempDir(), name: name, mbus: mbus, more: more, ip: cloud.floatingIP()}
	d.manifest(2048)
	return d
}

func (d *deployer) manifest(disk int) {
	d.Helper()
	c := d.cloud
	text := fmt.Sprintf(openstackManifest, d.name, d.ip, c.Private.ID, disk, c.AuthURL, c.Username, c.Password, c.Project, d.more, d.mbus)
	if err := os.WriteFile(filepath.Join(d.dir, "micro_bosh.yml"), []byte(text), 0o600); err != nil {
		d.Fatal(err)
	}
}

// stemcells are the two that differ in nothing but their digests.
func stemcells(t *testing.T) (first, second string) {
	t.Helper()
	first, second, ok := strings.Cut(os.Getenv("MICROBOSH_STEMCELLS"), ":")
	if !ok {
		t.Fatal("MICROBOSH_STEMCELLS names no two stemcells, with a colon between them")
	}
	return first, second
}

func (d *deployer) command(ctx context.Context, args ...string) *exec.Cmd {
	args = append([]string{"-m", filepath.Join(d.dir, "micro_bosh.yml"), "--host", d.cloud.Host, "--yes"}, args...)
	cmd := exec.CommandContext(ctx, filepath.Join(lab.Programs(d.T), "microbosh"), args...)
	cmd.Dir = d.dir
	cmd.Env = append(os.Environ(), "MICROBOSH_BUS=", "MICROBOSH_KEYS=", "MICROBOSH_SETTLE=5s")
	return cmd
}

// run runs one command that must end with a code, and gives what it said.
func (d *deployer) run(code int, args ...string) string {
	d.Helper()
	began := time.Now()
	out, err := d.command(d.Context(), args...).CombinedOutput()
	got := 0
	if err != nil {
		got = -1
		if e, ok := err.(*exec.ExitError); ok { //nolint:errorlint // exec gives it as it is
			got = e.ExitCode()
		}
	}
	d.Logf("microbosh %s: exit %d after %.1f s", strings.Join(args, " "), got, time.Since(began).Seconds())
	if got != code {
		d.Fatalf("exit code %d, want %d:\n%s%s", got, code, out, d.logs())
	}
	return string(out)
}

func (d *deployer) says(text string, want ...string) {
	d.Helper()
	for _, w := range want {
		if !strings.Contains(text, w) {
			d.Errorf("%q is not said in:\n%s", w, text)
		}
	}
}

// logs is the end of what the parts have said.
func (d *deployer) logs() string {
	files, _ := filepath.Glob(filepath.Join(d.dir, ".microbosh", "log", "*.log"))
	var b strings.Builder
	for _, file := range files {
		text, _ := os.ReadFile(file)
		fmt.Fprintf(&b, "\n-- %s\n%s", filepath.Base(file), text[max(0, len(text)-3000):])
	}
	return b.String()
}

// identity is what the Director keeps on its persistent disk.
func (d *deployer) identity() string {
	d.Helper()
	client := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true, //nolint:gosec // as the deployer asks
	}}
	resp, err := client.Get("https://" + d.ip + ":25555/info")
	if err != nil {
		d.Fatal(err)
	}
	defer resp.Body.Close()
	var info struct{ Name, UUID string }
	if err := json.NewDecoder(io.LimitReader(resp.Body, 1<<20)).Decode(&info); err != nil || info.Name != d.name || info.UUID == "" {
		d.Fatalf("info %+v: %v", info, err)
	}
	return info.UUID
}

// A whole life on a real OpenStack: the VM gets its address by DHCP, its
// settings from the metadata service, and is called over https.
func TestOpenStackLife(t *testing.T) {
	cloud := realOpenStack(t)
	first, second := stemcells(t)
	d := newDeployer(t, cloud, "micro-https", "https://vcap:b00tstrap@0.0.0.0:6868", "")
	before := cloud.inventory()
	d.run(0, "deploy", first)
	id := d.identity()
	const text = "what-was-written-first"
	d.keep(text)
	d.says(cloud.console(cloud.server()), `"source":"metadata http://169.254.169.254"`)
	d.says(d.run(0, "deploy", first, "--update"), "Will skip deploy due to no changes")

	d.manifest(3072)
	d.says(d.run(0, "deploy", second, "--update"), "migrate disk")
	if got := d.identity(); got != id {
		t.Errorf("a new VM with a bigger disk is %s, it was %s: what was on the disk is lost", got, id)
	}

	d.kept(text, "an update with another stemcell and a bigger disk")

	cloud.destroy(cloud.server())
	d.says(d.run(10, "plan", second), "the VM no longer exists in the cloud")
	d.run(0, "deploy", second, "--update")
	if got := d.identity(); got != id {
		t.Errorf("the healed VM is %s, it was %s", got, id)
	}
	d.kept(text, "the VM was destroyed")

	d.killed(second)
	if got := d.identity(); got != id {
		t.Errorf("after kills the VM is %s, it was %s", got, id)
	}
	d.kept(text, "kills")
	if now := counted(cloud.inventory()); now != "1 floatingips, 1 images, 1 ports, 1 servers, 1 volumes" {
		t.Errorf("after kills there are %s", now)
	}

	d.run(0, "delete")
	after := cloud.inventory()
	t.Logf("before: %s; after: %s", counted(before), counted(after))
	if !slices.Equal(before, after) {
		t.Errorf("left over: before %v, after %v", before, after)
	}
}

// The VM reads its settings from a config drive and comes to the bus that
// deploys it. Its services are vcap's.
func TestOpenStackConfigDriveAndNATS(t *testing.T) {
	cloud := realOpenStack(t)
	first, _ := stemcells(t)
	d := newDeployer(t, cloud, "micro-nats", "nats://", ", config_drive: cdrom")
	before := cloud.inventory()
	d.run(0, "deploy", first)
	d.identity()
	d.says(cloud.console(cloud.server()), `"source":"config drive"`)
	d.says(d.run(0, "agent", "ping"), "pong")
	d.says(d.run(0, "agent", "get_state", "full"), `"job_state": "running"`, "microbosh")
	d.services(d.login())
	d.run(0, "delete")
	if after := cloud.inventory(); !slices.Equal(before, after) {
		t.Errorf("left over: before %v, after %v", before, after)
	}
}

package conformance_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/microbosh/microbosh/test/lab"
)

// TestDeploy is a whole microbosh deploy, update and delete on the real
// OpenStack. devcloud has its own in test/e2e.
func TestDeploy(t *testing.T) {
	if os.Getenv(real) == "" {
		t.Skip("there is no real OpenStack to deploy on; make test-openstack brings one up")
	}
	cloud := whole(t)
	r := newRig(t, cloud)
	bin := lab.Programs(t)
	state := filepath.Join(r.dir, "state")
	lab.Run(t, filepath.Join(state, "orchestrator"), filepath.Join(bin, "microbosh"), "serve", "--bus", r.conn.URL(), "--keys", filepath.Join(state, "keys"))
	standInFor(t, cloud)

	manifest, stem := filepath.Join(r.dir, "micro_bosh.yml"), filepath.Join(r.dir, "dev.tgz")
	write := func(disk int, extra string) {
		t.Helper()
		text := fmt.Sprintf(`---
name: micro
network: {type: dynamic, cloud_properties: {net_id: %s}}
resources:
  persistent_disk: %d
  cloud_properties: {instance_type: m1.small}
cloud:
  plugin: openstack
  properties:
    openstack: {auth_url: "%s", username: %s, api_key: %s, tenant: %s, region: %s}
    agent: {mbus: "nats://"}
apply_spec:
  properties: {hm: {password: "hm%s"}}
`, cloud.Private.ID, disk, r.wire.through(cloud.AuthURL), cloud.Username, cloud.Password, cloud.Project, cloud.Region, extra)
		if err := os.WriteFile(manifest, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	microbosh := func(args ...string) string {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
		defer cancel()
		cmd := exec.CommandContext(ctx, filepath.Join(bin, "microbosh"), args...)
		cmd.Dir = r.dir
		cmd.Env = append(os.Environ(), "HOME="+r.dir, "XDG_CONFIG_HOME=", "MICROBOSH_MANIFEST="+manifest, "MICROBOSH_BUS="+r.conn.URL(), "MICROBOSH_KEYS="+filepath.Join(state, "keys"))
		var out bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &out
		if err := cmd.Run(); err != nil {
			t.Fatalf("microbosh %v: %v\n%s", args, err, &out)
		}
		return out.String()
	}
	write(1024, "")
	microbosh("stemcell", "build", "--output", stem)
	microbosh("deploy", stem, "-n")
	status := microbosh("status")
	want := "1 server, 1 volume, 1 image, 1 port"
	owner := r.admin.deployed("micro")
	if have := count(r.admin.of(owner)); have != want {
		t.Fatalf("the cloud holds %q, want %q\n%s", have, want, status)
	}
	write(2048, "changed")
	microbosh("deploy", stem, "-n", "--update")
	if have := count(r.admin.of(owner)); have != want {
		t.Fatalf("after the update the cloud holds %q, want %q", have, want)
	}
	if size := r.admin.of(owner)["volume"][0].Size; size != 2 {
		t.Errorf("the disk has %d GiB, want 2", size)
	}
	microbosh("delete", "-n")
	if have := count(r.admin.of(owner)); have != "" {
		t.Errorf("the cloud still holds %q", have)
	}
}

// deployed is the uid of the deployment whose server there is.
func (c *client) deployed(name string) string {
	c.t.Helper()
	var now struct{ Servers []thing }
	c.do("GET", c.url("compute", "/servers/detail"), nil, &now, 200)
	for _, s := range now.Servers {
		if s.Metadata["microbosh-deployment"] == name {
			return s.Metadata["microbosh-uid"]
		}
	}
	c.t.Fatalf("no server of %s", name)
	return ""
}

package conformance_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/microbosh/microbosh/test/lab"
)

// bosh calls the CPI as a Director does: a process per call, an empty
// environment, one answer on standard output.
type bosh struct {
	*rig
	cpi   string // installed as `cpi` in a job's bin
	api   int
	image string
}

type boshAnswer struct {
	Result any `json:"result"`
	Error  *struct {
		Type    string `json:"type"`
		Message string `json:"message"`
		Retry   bool   `json:"ok_to_retry"`
	} `json:"error"`
	Log string `json:"log"`
}

func newBosh(t *testing.T, cloud target, api int) *bosh {
	t.Helper()
	b := &bosh{rig: newRig(t, cloud), api: api}
	job := filepath.Join(b.dir, "jobs", "cpi")
	for _, sub := range []string{"bin", "config"} {
		if err := os.MkdirAll(filepath.Join(job, sub), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	b.cpi = filepath.Join(job, "bin", "cpi")
	if err := os.Symlink(filepath.Join(lab.Programs(t), "microbosh-cpi-openstack"), b.cpi); err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(tree{"cloud": tree{"plugin": "openstack", "properties": b.properties()}})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(job, "config", "cpi.json"), text, 0o600); err != nil {
		t.Fatal(err)
	}
	b.image = filepath.Join(b.dir, "image")
	b.unpack(b.stemcell().Path)
	return b
}

// unpack takes the member image out of a stemcell.
func (b *bosh) unpack(path string) {
	b.t.Helper()
	f, err := os.Open(path)
	if err != nil {
		b.t.Fatal(err)
	}
	defer f.Close()
	gz, err := gzip.NewReader(f)
	if err != nil {
		b.t.Fatal(err)
	}
	for members := tar.NewReader(gz); ; {
		h, err := members.Next()
		if err != nil {
			b.t.Fatal(err)
		}
		if h.Name == "image" {
			data, err := io.ReadAll(members)
			if err != nil {
				b.t.Fatal(err)
			}
			if err := os.WriteFile(b.image, data, 0o600); err != nil {
				b.t.Fatal(err)
			}
			return
		}
	}
}

// raw gives the CPI a text and reads its one answer.
func (b *bosh) raw(text string) boshAnswer {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, b.cpi)
	cmd.Env = []string{"PATH=/usr/bin:/bin", "TMPDIR=" + b.dir, "HOME=" + b.dir}
	cmd.Stdin = strings.NewReader(text)
	var out, log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &log
	if err := cmd.Run(); err != nil {
		b.t.Fatalf("the CPI ends with %v:\n%s", err, &log)
	}
	dec := json.NewDecoder(&out)
	var members map[string]json.RawMessage
	var answer boshAnswer
	text = out.String()
	if err := dec.Decode(&members); err != nil || len(members) != 3 || dec.Decode(new(any)) != io.EOF {
		b.t.Fatalf("the answer is not exactly one of BOSH's: %s", text)
	}
	if err := json.Unmarshal([]byte(text), &answer); err != nil {
		b.t.Fatalf("the answer %s: %v", text, err)
	}
	if strings.Contains(text+log.String(), b.rig.cloud.Password+`"`) && len(b.rig.cloud.Password) > 8 {
		b.t.Error("the CPI tells the password")
	}
	return answer
}

func (b *bosh) call(method string, args ...any) boshAnswer {
	b.t.Helper()
	if args == nil {
		args = []any{}
	}
	text, err := json.Marshal(tree{
		"method": method, "arguments": args, "api_version": b.api,
		"context": tree{"director_uuid": "d1", "request_id": "cpi-1", "vm": tree{"stemcell": tree{"api_version": 3}}},
	})
	if err != nil {
		b.t.Fatal(err)
	}
	return b.raw(string(text))
}

func (b *bosh) good(method string, args ...any) any {
	b.t.Helper()
	a := b.call(method, args...)
	if a.Error != nil {
		b.t.Fatalf("%s: %+v", method, *a.Error)
	}
	return a.Result
}

func (b *bosh) bad(kind, method string, args ...any) {
	b.t.Helper()
	a := b.call(method, args...)
	if a.Error == nil || a.Error.Type != kind || a.Error.Message == "" || a.Result != nil {
		b.t.Errorf("%s %v: %+v, want %s", method, args, a, kind)
	}
}

// TestExecutable is a VM's life as a Director asks for it.
func TestExecutable(t *testing.T) {
	eachTarget(t, func(t *testing.T, cloud target) {
		for _, api := range []int{1, 2} {
			newBosh(t, cloud, api).life()
		}
	})
}

func (b *bosh) life() {
	b.t.Helper()
	about := b.good("info").(tree)
	if about["api_version"] != 2.0 || len(about["stemcell_formats"].([]any)) == 0 {
		b.t.Errorf("info says %v", about)
	}
	image := b.good("create_stemcell", b.image, tree{"name": "n", "version": "1", "disk_format": "raw", "container_format": "bare"})
	if again := b.good("create_stemcell", b.image, tree{"image_id": image}); again != image.(string)+" light" {
		b.t.Errorf("a light stemcell is %v", again)
	}
	b.good("delete_stemcell", image.(string)+" light")
	networks := tree{"n": tree{"type": "manual", "ip": b.address(210), "cloud_properties": tree{"net_id": b.rig.cloud.Private.ID}, "default": []string{"dns", "gateway"}}}
	made := b.good("create_vm", "agent-1", image.(string)+" light", tree{"instance_type": "m1.small"}, networks, []any{}, tree{"bosh": tree{}})
	vm, ok := made.(string)
	if b.api == 2 {
		pair := made.([]any)
		vm, ok = pair[0].(string)
		if _, is := pair[1].(tree)["n"]; !is || len(pair) != 2 {
			b.t.Errorf("create_vm gives %v", made)
		}
	}
	if !ok {
		b.t.Fatalf("create_vm gives %v", made)
	}
	b.good("set_vm_metadata", vm, tree{"director": "d1", "index": 0})
	disk := b.good("create_disk", 1024, tree{}, vm)
	b.good("set_disk_metadata", disk, tree{"director": "d1"})
	b.good("resize_disk", disk, 2048)
	hint := b.good("attach_disk", vm, disk)
	if want := map[int]any{1: nil, 2: "/dev/sdb"}[b.api]; hint != want {
		b.t.Errorf("attach_disk gives %v, want %v", hint, want)
	}
	if have := b.good("get_disks", vm).([]any); !slices.Equal(have, []any{disk}) {
		b.t.Errorf("get_disks gives %v", have)
	}
	snapshot := b.good("snapshot_disk", disk, tree{"deployment": "d", "job": "j", "index": 0})
	for method, cid := range map[string]any{"has_vm": vm, "has_disk": disk} {
		if b.good(method, cid) != true {
			b.t.Errorf("%s says no", method)
		}
	}
	if fits := b.good("calculate_vm_cloud_properties", tree{"cpu": 1, "ram": 1024, "ephemeral_disk_size": 1024}).(tree); fits["instance_type"] != "m1.small" {
		b.t.Errorf("calculated %v", fits)
	}
	b.good("reboot_vm", vm)
	b.good("delete_snapshot", snapshot)
	b.good("detach_disk", vm, disk)
	b.wrong(vm)
	b.good("delete_vm", vm)
	b.good("delete_vm", vm) // gone is as good
	b.good("delete_disk", disk)
	b.good("delete_stemcell", image)
	if b.good("has_vm", vm) != false {
		b.t.Error("has_vm says yes")
	}
}

// wrong are calls that must fail with BOSH's types.
func (b *bosh) wrong(vm string) {
	b.t.Helper()
	const nowhere = "00000000-0000-4000-8000-000000000000"
	b.bad("Bosh::Clouds::NotSupported", "configure_networks", vm, tree{})
	b.bad("Bosh::Clouds::NotImplemented", "create_network", tree{})
	b.bad("InvalidCall", "make_coffee")
	b.bad("Bosh::Clouds::CpiError", "delete_vm", "")
	b.bad("Bosh::Clouds::CpiError", "delete_vm")
	b.bad("Bosh::Clouds::CpiError", "create_disk", "large", tree{}, nil)
	b.bad("Bosh::Clouds::CpiError", "create_disk", 1, tree{}, nil)
	b.bad("Bosh::Clouds::VMNotFound", "reboot_vm", nowhere)
	b.bad("Bosh::Clouds::DiskNotFound", "resize_disk", nowhere, 2048)
	b.bad("Bosh::Clouds::VMCreationFailed", "create_vm", "a", nowhere, tree{"instance_type": "m9"}, tree{"n": tree{"type": "dynamic"}}, []any{}, tree{})
	for _, text := range []string{"", "no JSON", "{}", "[]", `{"method":"info"}`, `{"method":"has_vm","arguments":{},"context":{}}`} {
		if a := b.raw(text); a.Error == nil || a.Error.Type != "InvalidCall" {
			b.t.Errorf("%q is answered with %+v", text, a)
		}
	}
	// A Director's cpi-config overrides the job's.
	a := b.raw(`{"method":"has_vm","arguments":["` + nowhere + `"],"api_version":2,"context":{"director_uuid":"d1","api_key":"wrong"}}`)
	if a.Error == nil || a.Error.Type != "Bosh::Clouds::CloudError" {
		b.t.Errorf("with a wrong password: %+v", a)
	}
}

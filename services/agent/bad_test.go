package main_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha1"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Arguments that are missing or of the wrong type are told in BOSH's words, by
// every method that needs some.
func TestArgumentsThatAreNone(t *testing.T) {
	t.Parallel()
	v := newVM(t)
	v.boot()
	v.beat("")
	const missing, wrong = "Extracting method arguments from payload: Not enough arguments, expected ", "Extracting method arguments from payload: argument "
	for method, needs := range map[string]struct {
		args []any // those before the wrong one
		bad  any
	}{
		"get_task": {nil, 7}, "cancel_task": {nil, map[string]any{}},
		"drain": {nil, 7}, "run_script": {nil, []any{}}, "compile_package": {nil, 7}, "compile_package_with_signed_url": {nil, "x"},
		"fetch_logs": {nil, 7}, "fetch_logs_with_signed_url": {nil, []any{}}, "bundle_logs": {nil, 7}, "remove_file": {nil, 7}, "upload_blob": {nil, "x"},
		"ssh": {nil, 7}, "sync_dns": {nil, 7}, "sync_dns_with_signed_url": {nil, 7}, "delete_arp_entries": {nil, "x"},
		"mount_disk": {nil, 7}, "unmount_disk": {nil, []any{}}, "add_persistent_disk": {nil, 7}, "remove_persistent_disk": {nil, 7},
		"add_dynamic_disk": {nil, 7}, "remove_dynamic_disk": {nil, 7}, "update_settings": {nil, "x"},
	} {
		for name, c := range map[string]struct {
			args []any
			want string
		}{"missing": {needs.args, missing}, "wrong": {append(needs.args, needs.bad), wrong}} {
			r := v.run(method, "", c.args...)
			if r.Exception == nil || !strings.Contains(r.Exception.Message, "Action Failed ") || !strings.Contains(r.Exception.Message, c.want) {
				t.Errorf("%s, %s: got %s %+v, want %q", method, name, r.Value, r.Exception, c.want)
			}
		}
	}
	for _, method := range []string{"apply", "prepare"} {
		v.refused(v.run(method, ""), missing)
		for _, bad := range []any{7, "x", []any{}, nil} {
			v.refused(v.run(method, "", bad), "invalid spec, Hash expected")
		}
	}
	v.want(v.call("ping"), `"pong"`)
}

// An archive that is not what it should be leaves the machine as it was, and
// nothing outside of where it belongs.
func TestArchivesThatMeanHarm(t *testing.T) {
	t.Parallel()
	v := newVM(t)
	v.boot()
	v.beat("")
	v.want(v.run("apply", "", v.version("1", "1")), `"applied"`)
	whole := v.installed()
	outside := filepath.Join(v.TempDir(), "outside")
	if err := os.MkdirAll(outside, 0o700); err != nil {
		t.Fatal(err)
	}
	for name, entries := range map[string][]tar.Header{
		"a name that leads out":      {{Name: "../../../../evil", Typeflag: tar.TypeReg, Size: 1}},
		"an absolute name":           {{Name: outside + "/evil", Typeflag: tar.TypeReg, Size: 1}},
		"a link that leads out":      {{Name: "x", Typeflag: tar.TypeSymlink, Linkname: outside}, {Name: "x/evil", Typeflag: tar.TypeReg, Size: 1}},
		"a hard link that leads out": {{Name: "x", Typeflag: tar.TypeLink, Linkname: "../../../../bosh/spec.json"}},
		"a device":                   {{Name: "x", Typeflag: tar.TypeBlock, Devmajor: 8}},
		"more than fits anywhere":    {{Name: "x", Typeflag: tar.TypeReg, Size: 1 << 40}},
	} {
		spec := v.version("1", "2")
		spec["packages"] = map[string]any{"greeting": v.harm(entries)}
		r := v.run("apply", "", spec)
		if r.Exception == nil || !strings.Contains(r.Exception.Message, "Failed to install package 'greeting': ") {
			t.Errorf("%s: got %s %+v", name, r.Value, r.Exception)
		}
		if now := v.installed(); now != whole {
			t.Errorf("%s: got\n%s\nwant\n%s", name, now, whole)
		}
		if left, _ := filepath.Glob(filepath.Join(v.base, "data", "packages", "greeting", "1", "*-bosh-agent-unpack")); len(left) > 0 {
			t.Errorf("%s: left over: %v", name, left)
		}
	}
	if left, _ := os.ReadDir(outside); len(left) > 0 {
		t.Errorf("outside is written to: %v", left)
	}
	// What is no archive at all, though its digest is right.
	junk := []byte("no archive")
	if err := os.WriteFile(filepath.Join(v.base, "micro_bosh", "data", "cache", "junk"), junk, 0o600); err != nil {
		t.Fatal(err)
	}
	spec := v.version("1", "2")
	spec["packages"] = map[string]any{"greeting": map[string]string{"name": "greeting", "version": "1", "sha1": fmt.Sprintf("%x", sha1.Sum(junk)), "blobstore_id": "junk"}}
	v.refused(v.run("apply", "", spec), "Failed to unpack blob junk")
	spec["rendered_templates_archive"] = map[string]string{"sha1": "zz", "blobstore_id": "junk"}
	v.refused(v.run("apply", "", spec), "Failed to install")
	if state := string(v.call("get_state").Value); !strings.Contains(state, "hash-11") {
		t.Errorf("the state is another: %s", state)
	}
}

// harm stores an archive of entries as they are, with a byte in each file.
func (v *vm) harm(entries []tar.Header) map[string]string {
	v.Helper()
	var out bytes.Buffer
	zip := gzip.NewWriter(&out)
	w := tar.NewWriter(zip)
	for _, h := range entries {
		h.Mode = 0o644
		if err := w.WriteHeader(&h); err != nil {
			v.Fatal(err)
		}
		if h.Typeflag == tar.TypeReg {
			if _, err := w.Write([]byte("x")); err != nil {
				v.Fatal(err)
			}
		}
	}
	_ = w.Flush() // of an entry that promises more than it has: fails
	if err := zip.Close(); err != nil {
		v.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(v.base, "micro_bosh", "data", "cache", "harm"), out.Bytes(), 0o600); err != nil {
		v.Fatal(err)
	}
	return map[string]string{"name": "greeting", "version": "1", "sha1": fmt.Sprintf("%x", sha1.Sum(out.Bytes())), "blobstore_id": "harm"}
}

package stemcell_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/microbosh/microbosh/pkg/messages"
	"github.com/microbosh/microbosh/pkg/stemcell"
)

func build(t testing.TB, dir string) string {
	t.Helper()
	agent := filepath.Join(dir, "agent")
	if err := os.WriteFile(agent, []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(dir, "dev.tgz")
	if err := stemcell.BuildDev(stemcell.DevOptions{Output: out, Version: "7", Agent: agent, Programs: []string{agent}}); err != nil {
		t.Fatal(err)
	}
	return out
}

func TestBuildOpenImage(t *testing.T) {
	t.Parallel()
	path := build(t, t.TempDir())
	s, err := stemcell.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	if s.Name != "microbosh-openstack-dev" || s.Version != "7" || s.APIVersion != 3 || s.CloudProperties["disk_format"] != "raw" {
		t.Errorf("read as %+v", s)
	}
	var spec struct {
		Job struct {
			Templates []struct {
				SHA1        string `json:"sha1"`
				BlobstoreID string `json:"blobstore_id"`
			} `json:"templates"`
		} `json:"job"`
	}
	if err := json.Unmarshal(s.ApplySpec, &spec); err != nil || len(spec.Job.Templates) != 1 {
		t.Fatalf("apply spec %s: %v", s.ApplySpec, err)
	}
	r, err := s.Image(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var names []string
	tr := tar.NewReader(r)
	for {
		h, err := tr.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, h.Name)
	}
	got := strings.Join(names, " ")
	if !strings.Contains(got, "var/vcap/bosh/bin/bosh-agent") || !strings.Contains(got, spec.Job.Templates[0].BlobstoreID) {
		t.Errorf("the root holds %s", got)
	}
}

func TestSameInputSameBytes(t *testing.T) {
	t.Parallel()
	a, errA := os.ReadFile(build(t, t.TempDir()))
	b, errB := os.ReadFile(build(t, t.TempDir()))
	if errA != nil || errB != nil || !bytes.Equal(a, b) {
		t.Errorf("two builds differ (%v %v)", errA, errB)
	}
}

type member struct {
	name string
	body string
	kind byte
}

func archive(t testing.TB, members ...member) string {
	t.Helper()
	var b bytes.Buffer
	gz := gzip.NewWriter(&b)
	w := tar.NewWriter(gz)
	for _, m := range members {
		h := &tar.Header{Name: m.name, Typeflag: m.kind, Mode: 0o644, Size: int64(len(m.body))}
		if m.kind == 0 {
			h.Typeflag = tar.TypeReg
		}
		if h.Typeflag != tar.TypeReg {
			h.Size, h.Linkname = 0, m.body
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if h.Typeflag == tar.TypeReg {
			if _, err := w.Write([]byte(m.body)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := gz.Close(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "s.tgz")
	if err := os.WriteFile(path, b.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestBadStemcells(t *testing.T) {
	t.Parallel()
	const good = "name: s\nversion: 1\nsha1: a94a8fe5ccb19ba61c4c0873d391e987982fbbd3\ncloud_properties: {}\n" // of "test"
	image := member{name: "image", body: "test"}
	garbage := filepath.Join(t.TempDir(), "garbage.tgz")
	if err := os.WriteFile(garbage, []byte("no gzip at all"), 0o644); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(archive(t, member{name: "stemcell.MF", body: good}, image))
	if err != nil {
		t.Fatal(err)
	}
	truncated := filepath.Join(t.TempDir(), "cut.tgz")
	if err := os.WriteFile(truncated, whole[:len(whole)-20], 0o644); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, path, want string
		code             messages.Code
	}{
		{"good", archive(t, member{name: "stemcell.MF", body: good}, image), "", ""},
		{"missing", "/does/not/exist.tgz", "Cannot find stemcell file", messages.CodeStemcellMissing},
		{"directory", t.TempDir(), "Cannot read tarball", messages.CodeStemcellInvalid},
		{"garbage", garbage, "it is no gzip", messages.CodeStemcellInvalid},
		{"truncated", truncated, "Cannot read tarball", messages.CodeStemcellInvalid},
		{"no manifest", archive(t, image), "Cannot find stemcell manifest", messages.CodeStemcellInvalid},
		{"no image", archive(t, member{name: "stemcell.MF", body: good}), "image file is missing", messages.CodeStemcellInvalid},
		{"wrong sha1", archive(t, member{name: "stemcell.MF", body: good}, member{name: "image", body: "tset"}), "the image's sha1 is", messages.CodeStemcellInvalid},
		{"no sha1", archive(t, member{name: "stemcell.MF", body: "name: s\nversion: 1\n"}, image), "sha1 must not be nil", messages.CodeStemcellInvalid},
		{"no name", archive(t, member{name: "stemcell.MF", body: "version: 1\n"}, image), "valid name, version", messages.CodeStemcellInvalid},
		{"no yaml", archive(t, member{name: "stemcell.MF", body: "\t{"}, image), "cannot be read", messages.CodeStemcellInvalid},
		{"outside", archive(t, member{name: "../stemcell.MF", body: good}, image), "outside of the archive", messages.CodeStemcellInvalid},
		{"absolute", archive(t, member{name: "/etc/passwd", body: good}), "outside of the archive", messages.CodeStemcellInvalid},
		{"link", archive(t, member{name: "image", body: "/etc/shadow", kind: tar.TypeSymlink}), "no plain file", messages.CodeStemcellInvalid},
		{"twice", archive(t, image, image), "there twice", messages.CodeStemcellInvalid},
		{"huge manifest", archive(t, member{name: "stemcell.MF", body: strings.Repeat(" ", 2<<20)}), "more than", messages.CodeStemcellInvalid},
		{"spec is a list", archive(t, member{name: "stemcell.MF", body: good}, image, member{name: "apply_spec.yml", body: "[]"}), "apply_spec.yml cannot be read", messages.CodeStemcellInvalid},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, err := stemcell.Open(c.path)
			if messages.CodeOf(err) != c.code || (err != nil && !strings.Contains(err.Error(), c.want)) {
				t.Errorf("got %v (%s), want %q (%s)", err, messages.CodeOf(err), c.want, c.code)
			}
		})
	}
}

func FuzzOpen(f *testing.F) {
	f.Add([]byte("no gzip"))
	whole, err := os.ReadFile(archive(f, member{name: "image", body: "x"}))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(whole)
	f.Fuzz(func(t *testing.T, data []byte) {
		path := filepath.Join(t.TempDir(), "f.tgz")
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := stemcell.Open(path); err != nil && messages.CodeOf(err) == messages.CodeInternal {
			t.Errorf("an error without a code: %v", err)
		}
	})
}

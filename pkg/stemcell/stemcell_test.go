package stemcell_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
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

// sparse is a tar whose image claims 4 TiB and takes no room.
func sparse(t testing.TB) string {
	t.Helper()
	var b bytes.Buffer
	gz := gzip.NewWriter(&b)
	var records string
	for _, kv := range []string{"GNU.sparse.major=1", "GNU.sparse.minor=0", "GNU.sparse.name=image", "GNU.sparse.realsize=4398046511104"} {
		n := len(kv) + 2
		for len(strconv.Itoa(n))+len(kv)+2 != n {
			n = len(strconv.Itoa(n)) + len(kv) + 2
		}
		records += strconv.Itoa(n) + " " + kv + "\n"
	}
	block := func(name string, kind byte, body string) {
		h := make([]byte, 512)
		copy(h, name)
		copy(h[100:], "0000644\x000000000\x000000000\x00")
		copy(h[124:], fmt.Sprintf("%011o\x0000000000000\x00", len(body)))
		copy(h[148:], "        ")
		h[156] = kind
		copy(h[257:], "ustar\x0000")
		sum := 0
		for _, c := range h {
			sum += int(c)
		}
		copy(h[148:], fmt.Sprintf("%06o\x00 ", sum))
		gz.Write(h)
		gz.Write([]byte(body))
		gz.Write(make([]byte, (512-len(body)%512)%512))
	}
	block("PaxHeaders/image", 'x', records)
	block("GNUSparseFile/image", '0', "1\n4398046511104\n0\n"+strings.Repeat("\x00", 512-len("1\n4398046511104\n0\n")))
	gz.Write(make([]byte, 1024))
	gz.Close()
	path := filepath.Join(t.TempDir(), "sparse.tgz")
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
		{"dot slash", archive(t, member{name: "./", kind: tar.TypeDir}, member{name: "./stemcell.MF", body: good}, member{name: "./image", body: "test"}), "", ""},
		{"twice by another name", archive(t, image, member{name: "./image", body: "test"}), "there twice", messages.CodeStemcellInvalid},
		{"inner dots", archive(t, member{name: "a/../../b", body: good}), "outside of the archive", messages.CodeStemcellInvalid},
		{"folder outside", archive(t, member{name: "../x/", kind: tar.TypeDir}), "outside of the archive", messages.CodeStemcellInvalid},
		{"hard link", archive(t, member{name: "image", body: "other", kind: tar.TypeLink}), "no plain file", messages.CodeStemcellInvalid},
		{"device", archive(t, member{name: "image", kind: tar.TypeBlock}), "no plain file", messages.CodeStemcellInvalid},
		{"pipe", archive(t, member{name: "image", kind: tar.TypeFifo}), "no plain file", messages.CodeStemcellInvalid},
		{"bomb", archive(t, member{name: "stemcell.MF", body: good}, member{name: "image", body: strings.Repeat("0", 16<<20)}), "unfolds to far more", messages.CodeStemcellInvalid},
		{"bomb beside it", archive(t, member{name: "stemcell.MF", body: good}, image, member{name: "list.txt", body: strings.Repeat("0", 16<<20)}), "unfolds to far more", messages.CodeStemcellInvalid},
		{"sparse bomb", sparse(t), "unfolds to far more", messages.CodeStemcellInvalid},
		{"names both digests", archive(t, member{name: "stemcell.MF", body: good}, member{name: "image", body: "x"}), "is 11f6ad8ec52a2984abaafd7c3b516503785c2072, stemcell.MF says a94a8fe5ccb19ba61c4c0873d391e987982fbbd3", messages.CodeStemcellInvalid},
		{"upper case sha1", archive(t, member{name: "stemcell.MF", body: strings.Replace(good, "a94a8fe5", "A94A8FE5", 1)}, image), "", ""},
		{"no such sha1", archive(t, member{name: "stemcell.MF", body: "name: s\nversion: 1\nsha1: sha256:abc\n"}, image), "is no sha1", messages.CodeStemcellInvalid},
		{"properties are a list", archive(t, member{name: "stemcell.MF", body: strings.Replace(good, "{}", "[]", 1)}, image), "valid name, version and cloud properties", messages.CodeStemcellInvalid},
		{"no properties", archive(t, member{name: "stemcell.MF", body: strings.Replace(good, "{}", "", 1)}, image), "", ""},
		{"name is a number", archive(t, member{name: "stemcell.MF", body: strings.Replace(good, "name: s", "name: 1", 1)}, image), "valid name, version", messages.CodeStemcellInvalid},
		{"huge spec", archive(t, member{name: "stemcell.MF", body: good}, image, member{name: "apply_spec.yml", body: strings.Repeat(" ", 5<<20)}), "more than", messages.CodeStemcellInvalid},
		{"spec is a list", archive(t, member{name: "stemcell.MF", body: good}, image, member{name: "apply_spec.yml", body: "[]"}), "apply_spec.yml cannot be read", messages.CodeStemcellInvalid},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, err := stemcell.Open(c.path)
			if err != nil && messages.AsError(err).Hint == "" {
				t.Errorf("no hint: %v", err)
			}
			if messages.CodeOf(err) != c.code || (err != nil && !strings.Contains(err.Error(), c.want)) {
				t.Errorf("got %v (%s), want %q (%s)", err, messages.CodeOf(err), c.want, c.code)
			}
		})
	}
}

package blobstore_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha1"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/microbosh/microbosh/pkg/messages"
	"github.com/microbosh/microbosh/services/agent/internal/blobstore"
	"github.com/microbosh/microbosh/services/agent/internal/home"
)

func archive(t *testing.T, entries ...tar.Header) []byte {
	t.Helper()
	var out bytes.Buffer
	zip := gzip.NewWriter(&out)
	w := tar.NewWriter(zip)
	for _, h := range entries {
		content := h.Uname // the tests' way to carry a file's content
		h.Uname = ""
		if h.Typeflag == tar.TypeReg {
			h.Size = int64(len(content))
		}
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if h.Typeflag == tar.TypeReg {
			if _, err := w.Write([]byte(content)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := zip.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func file(name, content string, mode int64) tar.Header {
	return tar.Header{Typeflag: tar.TypeReg, Name: name, Uname: content, Mode: mode}
}

func TestUntarStaysInside(t *testing.T) {
	t.Parallel()
	cases := map[string][]tar.Header{
		"dot dot":          {file("../evil", "x", 0o644)},
		"inner dot dot":    {file("a/../../evil", "x", 0o644)},
		"absolute":         {file("/evil", "x", 0o644)},
		"through symlink":  {{Typeflag: tar.TypeSymlink, Name: "out", Linkname: "../.."}, file("out/evil", "x", 0o644)},
		"through absolute": {{Typeflag: tar.TypeSymlink, Name: "out", Linkname: "/tmp"}, file("out/evil", "x", 0o644)},
		"hard link out":    {{Typeflag: tar.TypeLink, Name: "evil", Linkname: "../secret"}},
		"device":           {{Typeflag: tar.TypeChar, Name: "evil", Devmajor: 1}},
	}
	for name, entries := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			top := t.TempDir()
			dir := filepath.Join(top, "a", "b")
			if err := os.MkdirAll(dir, 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(top, "a", "secret"), []byte("s"), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := blobstore.Untar(bytes.NewReader(archive(t, entries...)), dir); err == nil {
				t.Error("it was unpacked")
			}
			_ = filepath.WalkDir(top, func(path string, _ os.DirEntry, _ error) error {
				if filepath.Base(path) == "evil" {
					t.Errorf("%s was written", path)
				}
				return nil
			})
		})
	}
}

func TestUntarKeepsModesAndLinks(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	err := blobstore.Untar(bytes.NewReader(archive(t,
		file("./bin/ctl", "#!/bin/sh\n", 0o4755),
		tar.Header{Typeflag: tar.TypeSymlink, Name: "ruby", Linkname: "/var/vcap/packages/ruby"},
		tar.Header{Typeflag: tar.TypeLink, Name: "hard", Linkname: "bin/ctl"},
	)), dir)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(filepath.Join(dir, "bin", "ctl"))
	if err != nil || info.Mode() != 0o755 {
		t.Errorf("got %v %v", info.Mode(), err)
	}
	if link, _ := os.Readlink(filepath.Join(dir, "ruby")); link != "/var/vcap/packages/ruby" {
		t.Errorf("got %q", link)
	}
}

func TestUnpackIsWholeOrNothing(t *testing.T) {
	t.Parallel()
	dir, err := home.New(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	store, err := blobstore.New(messages.Blobstore{Provider: "local"}, dir)
	if err != nil {
		t.Fatal(err)
	}
	good := archive(t, file("a", "content", 0o644))
	if err := store.Put("good", bytes.NewReader(good)); err != nil {
		t.Fatal(err)
	}
	cut := good[:len(good)-12]
	if err := store.Put("cut", bytes.NewReader(cut)); err != nil {
		t.Fatal(err)
	}
	target := dir.Join("data", "packages", "p", "1")
	cases := map[string]struct{ id, digest, want string }{
		"wrong digest":   {"good", fmt.Sprintf("%040x", 1), "sha1 mismatch expected="},
		"no digest":      {"good", "", "digest"},
		"only an md5":    {"good", "md5:00", "no digest"},
		"not there":      {"none", fmt.Sprintf("%040x", 1), "not in the blobstore"},
		"no id":          {"../good", fmt.Sprintf("%040x", 1), "no blob id"},
		"cut":            {"cut", fmt.Sprintf("%x", sha1.Sum(cut)), "unpack"},
		"strongest wins": {"good", fmt.Sprintf("%x;sha256:%064x", sha1.Sum(good), 1), "sha256 mismatch"},
	}
	for name, c := range cases {
		if err := store.Unpack(t.Context(), blobstore.Source{ID: c.id, Digest: c.digest}, target); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v", name, err)
		}
		if left, _ := filepath.Glob(dir.Join("data", "packages", "p", "*")); len(left) > 0 {
			t.Errorf("%s: left %v", name, left)
		}
	}
	if err := store.Unpack(t.Context(), blobstore.Source{ID: "good", Digest: fmt.Sprintf("sha256:%x", sha256.Sum256(good))}, target); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(filepath.Join(target, "a")); err != nil || string(got) != "content" {
		t.Errorf("got %q %v", got, err)
	}
}

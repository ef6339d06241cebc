package blobstore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"

	"github.com/microbosh/microbosh/pkg/messages"
	"github.com/microbosh/microbosh/services/agent/internal/home"
)

// Local keeps each blob as a file in one folder.
type Local struct {
	dir string
}

var blobID = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$`)

func newLocal(settings messages.Blobstore, dir home.Dir) (*Local, error) {
	path, _ := settings.Options["blobstore_path"].(string)
	switch {
	case path == "":
		path = filepath.Join(home.VarVcap, "micro_bosh", "data", "cache")
	case !filepath.IsAbs(path):
		return nil, fmt.Errorf("cannot use the blobstore: its blobstore_path %q is not absolute", path)
	}
	return &Local{dir: dir.Place(path)}, nil
}

// Open gives a blob and its size.
func (l *Local) Open(id string) (io.ReadCloser, int64, error) {
	f, err := l.open(id)
	if err != nil {
		return nil, 0, err
	}
	info, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, 0, fmt.Errorf("cannot open blob %s: %w", id, err)
	}
	return f, info.Size(), nil
}

func (l *Local) open(id string) (*os.File, error) {
	if !blobID.MatchString(id) {
		return nil, fmt.Errorf("cannot open the blob: %q is no blob id", id)
	}
	f, err := os.Open(filepath.Join(l.dir, id))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("cannot open blob %s: %w", id, errNone)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot open blob %s: %w", id, err)
	}
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		f.Close()
		return nil, fmt.Errorf("cannot open blob %s: it is no file", id)
	}
	return f, nil
}

func (l *Local) get(_ context.Context, id string) (io.ReadCloser, error) { return l.open(id) }

func (l *Local) put(_ context.Context, id string, file *os.File) error { return l.Put(id, file) }

func (l *Local) write(id string, from io.Reader, check func() error) (err error) {
	if !blobID.MatchString(id) {
		return fmt.Errorf("cannot store the blob: %q is no blob id", id)
	}
	defer func() {
		if err != nil {
			err = fmt.Errorf("cannot store blob %s: %w", id, err)
		}
	}()
	if err := home.MkdirAll(l.dir); err != nil {
		return err
	}
	tmp, err := os.CreateTemp(l.dir, unfinished)
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name()) // gone already when the rename went well
	defer tmp.Close()
	if _, err := io.Copy(tmp, from); err != nil {
		return err
	}
	if err := check(); err != nil {
		return err
	}
	if err := tmp.Sync(); err != nil {
		return err
	}
	if err := os.Rename(tmp.Name(), filepath.Join(l.dir, id)); err != nil {
		return err
	}
	return home.SyncDir(l.dir)
}

// unfinished names what is not a blob yet.
const unfinished = ".put-*"

// tidy removes what killed uploads have left.
func (l *Local) tidy() error {
	left, err := filepath.Glob(filepath.Join(l.dir, unfinished))
	for _, path := range left {
		err = errors.Join(err, os.Remove(path))
	}
	if err != nil {
		return fmt.Errorf("cannot tidy %s: %w", l.dir, err)
	}
	return nil
}

// Put stores a blob, whole or not at all.
func (l *Local) Put(id string, from io.Reader) error {
	return l.write(id, from, func() error { return nil })
}

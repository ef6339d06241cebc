package linux

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"

	"github.com/microbosh/microbosh/services/agent/internal/home"
)

// ReadMedium reads files of a device such as a config drive, which is mounted
// for as long as that takes.
func (l *Linux) ReadMedium(ctx context.Context, device string, files ...string) (map[string][]byte, error) {
	b, err := openBlock(device)
	if err != nil {
		return nil, err
	}
	found, err := probe(ctx, b.path)
	if err != nil {
		return nil, err
	}
	point, err := os.MkdirTemp(l.dir.Bosh(), "medium-")
	if err != nil {
		return nil, fmt.Errorf("cannot mount %s: %w", device, err)
	}
	defer os.Remove(point)
	if err := unix.Mount(b.path, point, found.FS, unix.MS_RDONLY|unix.MS_NODEV|unix.MS_NOSUID|unix.MS_NOEXEC, ""); err != nil {
		return nil, fmt.Errorf("cannot mount %s: %w", device, err)
	}
	out, err := readBelow(point, files)
	return out, errors.Join(err, unix.Unmount(point, unix.MNT_DETACH))
}

func readBelow(dir string, files []string) (map[string][]byte, error) {
	root, err := os.OpenRoot(dir) // a link on the medium leads nowhere else
	if err != nil {
		return nil, err
	}
	defer root.Close()
	out := map[string][]byte{}
	for _, name := range files {
		f, err := root.Open(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		data, err := io.ReadAll(io.LimitReader(f, home.MaxFile))
		if err := errors.Join(err, f.Close()); err != nil {
			return nil, fmt.Errorf("cannot read %s: %w", name, err)
		}
		out[name] = data
	}
	return out, nil
}

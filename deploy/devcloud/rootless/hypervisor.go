package rootless

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"github.com/rs/zerolog"

	"github.com/microbosh/microbosh/deploy/devcloud"
)

var _ devcloud.Hypervisor = (*Hypervisor)(nil)

// Options configure a hypervisor.
type Options struct {
	Log zerolog.Logger
}

// Hypervisor boots servers as processes.
type Hypervisor struct {
	log zerolog.Logger
	mu  sync.Mutex // held while an image is unpacked or forgotten
}

// New makes one. The program that calls it must call Keep first thing in main.
func New(o Options) (*Hypervisor, error) {
	if _, err := os.Stat(thisProgram); err != nil {
		return nil, fmt.Errorf("cannot find this program, is /proc mounted: %w", err)
	}
	return &Hypervisor{log: o.Log}, nil
}

// Boot unpacks the image when that was not done yet, and starts the keeper.
func (h *Hypervisor) Boot(ctx context.Context, g devcloud.Guest) (devcloud.Machine, error) {
	if !g.Address.IsLoopback() {
		return nil, errors.New("cannot boot the server: it has no loopback address")
	}
	dir, err := filepath.Abs(g.Dir)
	if err != nil {
		return nil, fmt.Errorf("cannot boot the server: %w", err)
	}
	g.Dir = dir
	if err := h.root(ctx, g); err != nil {
		return nil, fmt.Errorf("cannot boot the server: %w", err)
	}
	m := &machine{guest: g, root: rootOf(g), log: h.log.With().Str("server", g.ID).Logger(), ended: make(chan struct{})}
	if err := m.plug(); err != nil {
		return nil, fmt.Errorf("cannot boot the server: %w", err)
	}
	if m.meta, err = serveMetadata(g); err != nil {
		return nil, fmt.Errorf("cannot boot the server: %w", err)
	}
	if err := m.start(); err != nil {
		return nil, errors.Join(fmt.Errorf("cannot boot the server: %w", err), m.meta.close())
	}
	return m, nil
}

func rootOf(g devcloud.Guest) string { return filepath.Join(g.Dir, "root") }

// root makes the server's root. One that is there is from an earlier boot.
func (h *Hypervisor) root(ctx context.Context, g devcloud.Guest) error {
	root := rootOf(g)
	if _, err := os.Stat(root); err == nil {
		return nil
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	image, err := h.unpacked(ctx, g.Image)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(g.Dir, 0o700); err != nil {
		return err
	}
	aside := root + ".new"
	if err := os.RemoveAll(aside); err != nil {
		return err
	}
	if err := clone(image, aside); err != nil {
		return err
	}
	if err := Inject(aside, g.Files); err != nil {
		return err
	}
	for _, name := range []string{"dev", "tmp"} {
		if err := os.MkdirAll(filepath.Join(aside, name), 0o755); err != nil {
			return err
		}
	}
	return os.Rename(aside, root)
}

// unpacked is the folder of an image's files, beside the image.
func (h *Hypervisor) unpacked(ctx context.Context, i devcloud.Image) (string, error) {
	dir := filepath.Join(filepath.Dir(i.Path), "root")
	if _, err := os.Stat(dir); err == nil {
		return dir, nil
	}
	return dir, unpack(ctx, i.Path, dir)
}

// Forget removes an image's unpacked files with the image.
func (h *Hypervisor) Forget(i devcloud.Image) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	return RemoveAll(filepath.Join(filepath.Dir(i.Path), "root"))
}

// Remove ends what a server left, should there be anything, and removes its
// folder.
func (h *Hypervisor) Remove(g devcloud.Guest) error {
	dir, err := filepath.Abs(g.Dir)
	if err != nil {
		return fmt.Errorf("cannot remove the server: %w", err)
	}
	sweep(rootOf(devcloud.Guest{Dir: dir}))
	return RemoveAll(dir)
}

// Clear removes all servers' folders below dir, and what still runs of them.
func Clear(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("cannot clear %s: %w", dir, err)
	}
	for _, e := range entries {
		err = errors.Join(err, (&Hypervisor{}).Remove(devcloud.Guest{Dir: filepath.Join(dir, e.Name())}))
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// RemoveAll removes a folder with all in it, also folders that their owner made read-only.
func RemoveAll(dir string) error {
	if os.RemoveAll(dir) == nil {
		return nil
	}
	_ = filepath.WalkDir(dir, func(path string, d fs.DirEntry, _ error) error {
		if d != nil && d.IsDir() {
			_ = os.Chmod(path, 0o700) // what stays forbidden is told by RemoveAll
		}
		return nil
	})
	return os.RemoveAll(dir)
}

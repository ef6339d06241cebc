package rootless

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/microbosh/microbosh/deploy/devcloud"
)

// consoleTail is how much of a console Nova shows.
const consoleTail = 64 << 10

// stopWait is how long a keeper may take to end its server.
const stopWait = 20 * time.Second

// Hypervisor boots servers as processes.
type Hypervisor struct {
	self string // this program, which is also the keeper
	mu   sync.Mutex
}

// New makes one. The program that calls it must call Keep first thing in main.
func New() (*Hypervisor, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("cannot find this program: %w", err)
	}
	return &Hypervisor{self: self}, nil
}

type machine struct {
	root    string
	console string
	meta    *metadata
	stdin   io.Closer
	ended   chan struct{}
	cmd     *exec.Cmd
}

// Boot unpacks the image when that was not done yet, and starts the keeper.
func (h *Hypervisor) Boot(spec devcloud.MachineSpec) (devcloud.Machine, error) {
	unpacked := filepath.Join(filepath.Dir(spec.Image), "root")
	h.mu.Lock()
	err := unpack(spec.Image, unpacked)
	h.mu.Unlock()
	if err != nil {
		return nil, err
	}
	m := &machine{root: filepath.Join(spec.Dir, "root"), console: filepath.Join(spec.Dir, "console.log"), ended: make(chan struct{})}
	if err := clone(unpacked, m.root); err != nil {
		return nil, fmt.Errorf("cannot make the server's root: %w", err)
	}
	for _, v := range spec.Volumes {
		if err := m.Attach(v); err != nil {
			return nil, err
		}
	}
	if m.meta, err = serveMetadata(spec); err != nil {
		return nil, fmt.Errorf("cannot serve the server's metadata: %w", err)
	}
	if err := m.start(h.self); err != nil {
		return nil, errors.Join(err, m.meta.close())
	}
	return m, nil
}

func (m *machine) start(self string) error {
	console, err := os.OpenFile(m.console, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("cannot open the console: %w", err)
	}
	defer console.Close()
	m.cmd = exec.Command(self)
	m.cmd.Env = []string{keeperVariable + "=" + m.root, metadataVariable + "=" + m.meta.url()}
	m.cmd.Stdout, m.cmd.Stderr = console, console
	m.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if m.stdin, err = m.cmd.StdinPipe(); err != nil {
		return fmt.Errorf("cannot start the server's keeper: %w", err)
	}
	if err := m.cmd.Start(); err != nil {
		return fmt.Errorf("cannot start the server's keeper: %w", err)
	}
	go func() {
		_ = m.cmd.Wait() // how a keeper ends tells nothing
		close(m.ended)
	}()
	return nil
}

// Stop closes the keeper's standard input, on which it ends the server.
func (m *machine) Stop() error {
	err := errors.Join(m.stdin.Close(), m.meta.close())
	timer := time.NewTimer(stopWait)
	defer timer.Stop()
	select {
	case <-m.ended:
		return err
	case <-timer.C:
		return errors.Join(err, m.cmd.Process.Kill(), errors.New("the server's keeper did not end"))
	}
}

// Console is the end of what the server printed.
func (m *machine) Console() string {
	f, err := os.Open(m.console)
	if err != nil {
		return ""
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil && info.Size() > consoleTail {
		if _, err := f.Seek(-consoleTail, io.SeekEnd); err != nil {
			return ""
		}
	}
	b, err := io.ReadAll(io.LimitReader(f, consoleTail))
	if err != nil {
		return ""
	}
	return string(b)
}

func (m *machine) device(v devcloud.VolumeSpec) string {
	return filepath.Join(m.root, "dev", filepath.Base(v.Device))
}

// Attach shows the volume's folder as the device.
func (m *machine) Attach(v devcloud.VolumeSpec) error {
	if err := os.MkdirAll(filepath.Join(m.root, "dev"), 0o755); err != nil {
		return err
	}
	if err := os.Remove(m.device(v)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	dir, err := filepath.Abs(v.Dir)
	if err != nil {
		return err
	}
	return os.Symlink(dir, m.device(v))
}

// Detach removes the device.
func (m *machine) Detach(v devcloud.VolumeSpec) error {
	if err := os.Remove(m.device(v)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

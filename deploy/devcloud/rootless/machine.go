package rootless

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/rs/zerolog"

	"github.com/microbosh/microbosh/deploy/devcloud"
)

// stopWait is how long a keeper may take to end its server.
const stopWait = 20 * time.Second

type machine struct {
	guest    devcloud.Guest
	root     string
	log      zerolog.Logger
	meta     *metadata
	lifeline io.WriteCloser // the keeper's standard input
	stopping atomic.Bool
	ended    chan struct{} // closed when the keeper is gone and nothing of it is left
	cmd      *exec.Cmd
}

// thisProgram is the keeper too, also when its file was replaced since it began.
const thisProgram = "/proc/self/exe"

// start runs the keeper, with the console as its output.
func (m *machine) start() error {
	console, err := os.OpenFile(filepath.Join(m.guest.Dir, devcloud.Console), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("cannot open the console: %w", err)
	}
	defer console.Close()
	m.cmd = exec.Command(thisProgram)
	m.cmd.Args = []string{"devcloud-keeper", m.guest.ID} // for who looks at ps
	m.cmd.Dir = "/"
	m.cmd.Env = []string{"PATH=" + os.Getenv("PATH"), rootVariable + "=" + m.root, metadataVariable + "=" + m.meta.url()}
	m.cmd.Stdout, m.cmd.Stderr = console, console
	m.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if m.lifeline, err = m.cmd.StdinPipe(); err != nil {
		return fmt.Errorf("cannot start the server's keeper: %w", err)
	}
	if err := m.cmd.Start(); err != nil {
		return fmt.Errorf("cannot start the server's keeper: %w", err)
	}
	go m.watch()
	return nil
}

// watch waits for the keeper's end. One that did not end well may have left
// something running.
func (m *machine) watch() {
	defer close(m.ended)
	if err := m.cmd.Wait(); err != nil || !m.stopping.Load() {
		m.log.Warn().Err(err).Msg("a server's keeper ended by itself")
		sweep(m.root)
	}
}

// Ended is closed when the keeper is gone, and nothing of the server is left.
func (m *machine) Ended() <-chan struct{} { return m.ended }

// Stop closes the lifeline, on which the keeper ends the server; a gentle one is
// asked for first.
func (m *machine) Stop(gentle bool) error {
	m.stopping.Store(true)
	if gentle {
		_, _ = m.lifeline.Write([]byte{gently}) // the keeper may be gone
	}
	_ = m.lifeline.Close() // it may be closed already
	err := m.meta.close()
	timer := time.NewTimer(stopWait)
	defer timer.Stop()
	select {
	case <-m.ended:
	case <-timer.C:
		err = errors.Join(err, m.cmd.Process.Kill())
		<-m.ended
	}
	if err != nil {
		return fmt.Errorf("cannot stop the server: %w", err)
	}
	return nil
}

// plug shows the volumes that the server boots with, and no other.
func (m *machine) plug() error {
	old, err := filepath.Glob(filepath.Join(m.root, "dev", "sd*"))
	if err != nil {
		return err
	}
	for _, name := range old {
		if info, err := os.Lstat(name); err == nil && info.Mode()&os.ModeSymlink != 0 {
			if err := os.Remove(name); err != nil {
				return err
			}
		}
	}
	for device, folder := range m.guest.Disks {
		if err := m.Attach(device, folder); err != nil {
			return err
		}
	}
	return nil
}

func (m *machine) device(name string) string {
	return filepath.Join(m.root, "dev", filepath.Base(name))
}

// Attach shows the volume's folder as the device.
func (m *machine) Attach(device, folder string) error {
	folder, err := filepath.Abs(folder)
	if err != nil {
		return fmt.Errorf("cannot attach %s: %w", device, err)
	}
	if err := m.Detach(device); err != nil {
		return err
	}
	if err := os.Symlink(folder, m.device(device)); err != nil {
		return fmt.Errorf("cannot attach %s: %w", device, err)
	}
	return nil
}

// Detach removes the device.
func (m *machine) Detach(device string) error {
	if err := os.Remove(m.device(device)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("cannot detach %s: %w", device, err)
	}
	return nil
}

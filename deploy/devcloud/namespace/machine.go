package namespace

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/sys/unix"

	"github.com/microbosh/microbosh/deploy/devcloud"
)

// stopWait is how long a server may take to end.
const stopWait = 20 * time.Second

type machine struct {
	guest      devcloud.Guest
	hypervisor *Hypervisor
	log        zerolog.Logger
	cmd        *exec.Cmd
	lifeline   io.WriteCloser // the first process's standard input
	ended      chan struct{}

	mu    sync.Mutex // guards disks
	disks map[string]*disk
}

// start runs the first process. It reports twice: when its namespaces are there,
// and when its root is, so that devices can be put into it.
func (m *machine) start(ctx context.Context) error {
	console, err := os.OpenFile(filepath.Join(m.guest.Dir, devcloud.Console), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("cannot open the console: %w", err)
	}
	defer console.Close()
	told, tell, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("cannot start its first process: %w", err)
	}
	defer told.Close()
	defer tell.Close()
	what, err := json.Marshal(bootOrder{Dir: m.guest.Dir, Image: m.guest.Image.Path, Name: m.guest.Name, Files: m.guest.Files})
	if err != nil {
		return fmt.Errorf("cannot start its first process: %w", err)
	}
	m.cmd = exec.Command(m.hypervisor.self)
	m.cmd.Dir = "/"
	m.cmd.Env = []string{guestVariable + "=" + string(what), "PATH=" + guestPath}
	m.cmd.Stdout, m.cmd.Stderr = console, console
	m.cmd.ExtraFiles = []*os.File{tell}
	m.cmd.SysProcAttr = &syscall.SysProcAttr{
		Setsid:     true,
		Cloneflags: unix.CLONE_NEWNS | unix.CLONE_NEWPID | unix.CLONE_NEWNET | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC,
	}
	if m.lifeline, err = m.cmd.StdinPipe(); err != nil {
		return fmt.Errorf("cannot start its first process: %w", err)
	}
	if err := m.cmd.Start(); err != nil {
		return fmt.Errorf("cannot start its first process: %w", err)
	}
	go m.watch()
	_ = tell.Close() // so that its end is heard
	stop := context.AfterFunc(ctx, func() { _ = told.Close() })
	defer stop()
	err = m.prepare(bufio.NewReader(told))
	if err != nil {
		return errors.Join(err, m.Stop(false))
	}
	return nil
}

func (m *machine) prepare(words *bufio.Reader) error {
	word, err := words.ReadString('\n')
	if err != nil || strings.TrimSpace(word) != rooted {
		return fmt.Errorf("its root was not made, see its console: %s", strings.TrimSpace(word))
	}
	if err := plugIn(m.cmd.Process.Pid, m.guest.Address); err != nil {
		return err
	}
	for device, folder := range m.guest.Disks {
		if err := m.Attach(device, folder); err != nil {
			return err
		}
	}
	if _, err := m.lifeline.Write([]byte{goOn}); err != nil {
		return fmt.Errorf("its first process ended: %w", err)
	}
	word, err = words.ReadString('\n')
	if err != nil || strings.TrimSpace(word) != started {
		return fmt.Errorf("its agent was not started, see its console: %s", strings.TrimSpace(word))
	}
	return nil
}

func (m *machine) watch() {
	defer close(m.ended)
	if err := m.cmd.Wait(); err != nil {
		m.log.Debug().Err(err).Msg("a server ended")
	}
}

// Ended is closed when the first process is gone.
func (m *machine) Ended() <-chan struct{} { return m.ended }

// Stop closes the lifeline; the kernel ends what runs in the server with its
// first process.
func (m *machine) Stop(gentle bool) error {
	if gentle {
		_, _ = m.lifeline.Write([]byte{gently}) // it may be gone
	}
	_ = m.lifeline.Close()
	timer := time.NewTimer(stopWait)
	defer timer.Stop()
	var err error
	select {
	case <-m.ended:
	case <-timer.C:
		err = m.cmd.Process.Kill()
		<-m.ended
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for device, d := range m.disks {
		err = errors.Join(err, d.close())
		delete(m.disks, device)
	}
	if err != nil {
		return fmt.Errorf("cannot stop the server: %w", err)
	}
	return nil
}

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// process is what the folder remembers of a daemon. The kernel's start time
// tells it from another one with the same number.
type process struct {
	Name  string    `json:"name"`
	PID   int       `json:"pid"`
	Ticks string    `json:"ticks"`
	Began time.Time `json:"began"`
}

func ticks(pid int) string {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return ""
	}
	fields := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
	if len(fields) < 20 || fields[0] == "Z" {
		return ""
	}
	return fields[19]
}

func (p process) alive() bool { return p.PID > 0 && ticks(p.PID) == p.Ticks && p.Ticks != "" }

// processes are remembered in the order of their starts.
func (s *stack) processes() ([]process, error) {
	var list []process
	b, err := os.ReadFile(s.path("run", "processes.json"))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err == nil {
		err = json.Unmarshal(b, &list)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot read which processes run: %w", err)
	}
	return list, nil
}

func (s *stack) remember(list []process) error {
	b, err := json.Marshal(list)
	if err != nil {
		return err
	}
	aside := s.path("run", "processes.new")
	if err := os.WriteFile(aside, b, 0o600); err != nil {
		return fmt.Errorf("cannot remember which processes run: %w", err)
	}
	return os.Rename(aside, s.path("run", "processes.json"))
}

func (s *stack) process(name string) process {
	list, err := s.processes()
	if err != nil {
		return process{}
	}
	for _, p := range list {
		if p.Name == name {
			return p
		}
	}
	return process{}
}

func (s *stack) log(name string) string { return s.path("log", name+".log") }

// daemon starts a program in a session of its own, unless it runs.
func (s *stack) daemon(name string, env []string, program string, args ...string) error {
	list, err := s.processes()
	if err != nil {
		return err
	}
	kept := list[:0]
	for _, p := range list {
		if p.Name == name && p.alive() {
			return nil
		}
		if p.Name != name {
			kept = append(kept, p)
		}
	}
	log, err := os.OpenFile(s.log(name), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("cannot write a log: %w", err)
	}
	defer log.Close()
	cmd := exec.Command(program, args...)
	cmd.Dir = s.Dir
	cmd.Env, cmd.Stdout, cmd.Stderr = append(s.environment(), env...), log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("cannot start %s: %w", name, err)
	}
	p := process{Name: name, PID: cmd.Process.Pid, Ticks: ticks(cmd.Process.Pid), Began: time.Now().UTC()}
	go func() { _ = cmd.Wait() }() // so that a dead one is not a zombie: its log says why
	return s.remember(append(kept, p))
}

// until asks again and again until the answer is nil. It gives up early when
// the daemon that should answer is dead.
func (s *stack) until(ctx context.Context, name string, ask func(context.Context) error) error {
	limited, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	pause := time.NewTicker(200 * time.Millisecond)
	defer pause.Stop()
	for {
		err := ask(limited)
		if err == nil {
			return nil
		}
		if p := s.process(name); p.PID > 0 && !p.alive() {
			return fmt.Errorf("%s died:\n%s", name, end(s.log(name)))
		}
		select {
		case <-pause.C:
		case <-limited.Done():
			return fmt.Errorf("%s does not answer: %w\n%s", name, err, end(s.log(name)))
		}
	}
}

// down stops everything, the services before what they need.
func down(dir string) error {
	s, err := open(dir)
	if err != nil {
		return err
	}
	lock, err := s.lock()
	if err != nil {
		return err
	}
	defer lock.Close()
	if err := s.decideLevel(""); err != nil {
		return err
	}
	list, err := s.processes()
	if err != nil {
		return err
	}
	backends := map[string]bool{"mariadb": true, "rabbitmq": true, "epmd": true}
	var first, last []process
	for _, p := range list {
		if backends[p.Name] {
			last = append(last, p)
		} else {
			first = append(first, p)
		}
	}
	if len(list) == 0 {
		return nil
	}
	if err := stop(first); err != nil {
		return err
	}
	if err := errors.Join(s.sweep(context.Background()), stop(last)); err != nil {
		return err
	}
	s.say("stopped")
	return s.remember(nil)
}

// stop ends processes with their groups: asked first, then not.
func stop(list []process) error {
	for _, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL} {
		for _, p := range list {
			if p.alive() {
				_ = syscall.Kill(-p.PID, signal) // it may have ended
			}
		}
		pause, limit := time.NewTicker(100*time.Millisecond), time.NewTimer(20*time.Second)
		defer pause.Stop()
		defer limit.Stop()
		for waiting := true; waiting; {
			left := false
			for _, p := range list {
				left = left || p.alive()
			}
			if !left {
				return nil
			}
			select {
			case <-pause.C:
			case <-limit.C:
				waiting = false
			}
		}
	}
	return errors.New("some processes do not end")
}

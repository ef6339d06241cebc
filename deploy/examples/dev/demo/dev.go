package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

const (
	stopFor  = 20 * time.Second
	maxState = 4 << 20
)

// demo is a `microbosh dev` and the folder that it works in.
type demo struct {
	dir       string
	microbosh string
	keep      bool
	dev       *exec.Cmd
	ready     readiness
}

// readiness is what `microbosh dev --json` says first.
type readiness struct {
	Bus          string `json:"bus"`
	Keys         string `json:"keys"`
	AuthURL      string `json:"auth_url"`
	User         string `json:"username"`
	Project      string `json:"project"`
	PasswordFile string `json:"password_file"`
	State        string `json:"state_url"`
	PID          int    `json:"pid"`
}

// runs finds the `microbosh dev` that an earlier KEEP=1 left up. When it has
// ended, its cloud is gone and so must be the record of it.
func (d *demo) runs() bool {
	if !d.keep {
		return false
	}
	b, err := os.ReadFile(filepath.Join(d.dir, "dev.json"))
	if err == nil && json.Unmarshal(b, &d.ready) == nil {
		line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", d.ready.PID))
		if err == nil && bytes.Contains(line, []byte(d.dir)) {
			return true
		}
	}
	_ = os.RemoveAll(filepath.Join(d.dir, ".microbosh"))
	_ = os.Remove(filepath.Join(d.dir, "bosh-deployments.yml"))
	return false
}

// start runs `microbosh dev` until stop and returns when it is ready.
func (d *demo) start(ctx context.Context) error {
	fmt.Println("\n$ microbosh dev")
	output, err := os.OpenFile(filepath.Join(d.dir, "dev.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer output.Close()
	reader, writer, err := os.Pipe()
	if err != nil {
		return err
	}
	defer reader.Close()
	d.dev = exec.Command(d.microbosh, "dev", "--dir", d.dir, "--json")
	d.dev.Env = append(os.Environ(), "MICROBOSH_BUS=", "MICROBOSH_KEYS=")
	d.dev.Stdout, d.dev.Stderr = writer, output
	d.dev.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if !d.keep {
		d.dev.SysProcAttr.Pdeathsig = syscall.SIGTERM
	}
	err = d.dev.Start()
	_ = writer.Close()
	if err != nil {
		return fmt.Errorf("cannot start microbosh dev: %w", err)
	}
	lines := make(chan []byte, 1)
	go func() {
		line, _ := bufio.NewReader(reader).ReadBytes('\n')
		lines <- line
	}()
	select {
	case <-ctx.Done():
		return errors.Join(ctx.Err(), d.stop())
	case line := <-lines:
		var out struct {
			Type  string    `json:"type"`
			Value readiness `json:"value"`
		}
		if err := json.Unmarshal(line, &out); err != nil || out.Type != "result" {
			d.logs()
			return errors.Join(fmt.Errorf("microbosh dev did not start: %s", bytes.TrimSpace(line)), d.stop())
		}
		d.ready = out.Value
		d.ready.PID = d.dev.Process.Pid
	}
	if d.keep {
		b, err := json.Marshal(d.ready)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(d.dir, "dev.json"), b, 0o600); err != nil {
			return err
		}
	}
	fmt.Printf("bus %s, cloud %s\n", d.ready.Bus, d.ready.AuthURL)
	return nil
}

// stop ends `microbosh dev` and makes sure that it left nothing running.
func (d *demo) stop() error {
	_ = d.dev.Process.Signal(syscall.SIGTERM)
	killed := time.AfterFunc(stopFor, func() { _ = d.dev.Process.Kill() })
	err := d.dev.Wait()
	if !killed.Stop() {
		return errors.New("microbosh dev did not end in time")
	}
	if err != nil {
		return fmt.Errorf("microbosh dev ended badly: %w", err)
	}
	return d.nothingRuns()
}

// nothingRuns looks for a process that was started for this demo.
func (d *demo) nothingRuns() error {
	lines, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		return err
	}
	for _, file := range lines {
		b, err := os.ReadFile(file)
		if err == nil && bytes.Contains(b, []byte(d.dir)) {
			return fmt.Errorf("still running: %s", strings.ReplaceAll(string(b), "\x00", " "))
		}
	}
	return nil
}

// manifest copies the example with this cloud's address and password put in.
func (d *demo) manifest(example string) error {
	b, err := os.ReadFile(example)
	if err != nil {
		return err
	}
	password, err := os.ReadFile(d.ready.PasswordFile)
	if err != nil {
		return err
	}
	text := strings.NewReplacer(
		"AUTH_URL", d.ready.AuthURL, "USERNAME", d.ready.User, "PASSWORD", strings.TrimSpace(string(password)), "PROJECT", d.ready.Project,
	).Replace(string(b))
	return os.WriteFile(filepath.Join(d.dir, "micro_bosh.yml"), []byte(text), 0o600)
}

// empty asks the cloud what it still has.
func (d *demo) empty(ctx context.Context) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, d.ready.State, nil)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return fmt.Errorf("cannot ask the cloud: %w", err)
	}
	defer response.Body.Close()
	var state map[string]json.RawMessage
	if err := json.NewDecoder(io.LimitReader(response.Body, maxState)).Decode(&state); err != nil {
		return fmt.Errorf("cannot read the cloud's inventory: %w", err)
	}
	for _, kind := range []string{"servers", "volumes", "images", "ports"} {
		if v := string(state[kind]); v != "[]" && v != "{}" && v != "null" {
			return fmt.Errorf("the cloud still has %s: %s", kind, v)
		}
	}
	fmt.Println("\nThe cloud is empty again.")
	return nil
}

// logs shows the last words of every part, for a demo that failed.
func (d *demo) logs() {
	files, _ := filepath.Glob(filepath.Join(d.dir, ".microbosh", "log", "*.log"))
	for _, file := range append(files, filepath.Join(d.dir, "dev.log")) {
		b, err := os.ReadFile(file)
		if err != nil || len(b) == 0 {
			continue
		}
		b = b[max(0, len(b)-4000):]
		fmt.Fprintf(os.Stderr, "\n-- %s\n%s", filepath.Base(file), b)
	}
}

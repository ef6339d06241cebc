package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
)

const rcPolicy = "/usr/sbin/policy-rc.d"

func (s *stack) packages() []string {
	names := []string{
		"mariadb-server", "rabbitmq-server", "uwsgi-plugin-python3", "keystone", "glance-api", "placement-api",
		"nova-api", "nova-conductor", "nova-scheduler", "nova-compute", "neutron-server", "cinder-api", "cinder-scheduler", "cinder-volume",
	}
	if s.VM() {
		names = append(names, "neutron-linuxbridge-agent", "neutron-dhcp-agent", "neutron-l3-agent", "neutron-metadata-agent", "genisoimage", "qemu-system-x86")
	}
	return names
}

// install installs what is missing. Nothing of it may start by itself.
func (s *stack) install(ctx context.Context) error {
	missing := s.missing(ctx)
	if len(missing) == 0 {
		return nil
	}
	restore, err := forbidStarting()
	if err != nil {
		return err
	}
	defer restore()
	install := append([]string{
		"-qy", "-o", "DPkg::Lock::Timeout=900", "-o", "Acquire::Retries=5", "-o", "Dpkg::Options::=--force-confdef", "-o", "Dpkg::Options::=--force-confold",
		"install", "--no-install-recommends",
	}, missing...)
	if err := s.apt(ctx, install...); err == nil {
		return nil
	}
	// The lists may be old, or there may be none.
	if err := s.apt(ctx, "-q", "-o", "DPkg::Lock::Timeout=900", "-o", "Acquire::Retries=5", "update"); err != nil {
		return err
	}
	return s.apt(ctx, install...)
}

func (s *stack) missing(ctx context.Context) []string {
	out, _ := exec.CommandContext(ctx, "dpkg-query", append([]string{"-W", "-f", "${Status} ${Package}\n"}, s.packages()...)...).Output() // fails when one is unknown
	have := map[string]bool{}
	for line := range strings.Lines(string(out)) {
		if name, ok := strings.CutPrefix(strings.TrimSpace(line), "install ok installed "); ok {
			have[name] = true
		}
	}
	var missing []string
	for _, p := range s.packages() {
		if !have[p] {
			missing = append(missing, p)
		}
	}
	return missing
}

// forbidStarting has Debian's maintainer scripts start nothing, unless the host
// has a policy of its own, which then must say so.
func forbidStarting() (restore func(), err error) {
	f, err := os.OpenFile(rcPolicy, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o755)
	if errors.Is(err, os.ErrExist) {
		return func() {}, nil
	}
	if err == nil {
		_, err = f.WriteString("#!/bin/sh\nexit 101\n")
		err = errors.Join(err, f.Close())
	}
	if err != nil {
		return nil, fmt.Errorf("cannot keep packages from starting services: %w", err)
	}
	return func() { os.Remove(rcPolicy) }, nil
}

func (s *stack) apt(ctx context.Context, args ...string) error {
	return s.once(ctx, "apt", []string{"DEBIAN_FRONTEND=noninteractive"}, "apt-get", args...)
}

// once runs a command to its end, with a log of its own, whose end tells why it
// failed.
func (s *stack) once(ctx context.Context, log string, env []string, name string, args ...string) error {
	file := s.path("log", log+".log")
	f, err := os.OpenFile(file, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("cannot write a log: %w", err)
	}
	defer f.Close()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env, cmd.Stdout, cmd.Stderr = append(s.environment(), env...), f, f
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("cannot run %s %s: %w\n%s", name, strings.Join(args, " "), err, end(file))
	}
	return nil
}

// environment is what every program gets: Debian's Python and this stack's
// drivers, whatever the caller's environment says.
func (s *stack) environment() []string {
	return []string{
		"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C.UTF-8", "HOME=" + s.path("rabbit"), "PYTHONPATH=" + s.path("py"),
	}
}

// end is the last part of a log.
func end(file string) []byte {
	b, err := os.ReadFile(file)
	if err != nil {
		return nil
	}
	lines := bytes.SplitAfter(b, []byte("\n"))
	return bytes.Join(lines[max(0, len(lines)-40):], nil)
}

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Levels of a stack: whether servers are only told of, or booted.
const (
	levelAPI = "api"
	levelVM  = "vm"
)

// Addresses of level vm. The block keeps two stacks on one machine apart.

// VM tells whether servers are booted.
func (s *stack) VM() bool { return s.Level == levelVM }

// Bridge is where floating IPs are reached from this machine.
func (s *stack) Bridge() string { return fmt.Sprintf("br-mb%d", s.Block) }

func (s *stack) publicCIDR() string    { return fmt.Sprintf("172.24.%d.0/24", 4+s.Block) }
func (s *stack) publicGateway() string { return fmt.Sprintf("172.24.%d.1", 4+s.Block) }

// decideLevel keeps a folder at the level that it was made for.
func (s *stack) decideLevel(level string) error {
	file := s.path("level")
	b, err := os.ReadFile(file)
	had := strings.TrimSpace(string(b))
	switch {
	case err == nil && (level == "" || level == had):
		s.Level = had
		return nil
	case err == nil:
		return fmt.Errorf("%s was made for level %s, not %s: use another folder", s.Dir, had, level)
	case !errors.Is(err, os.ErrNotExist):
		return fmt.Errorf("cannot read the level: %w", err)
	case level == "":
		level = levelAPI
	case level != levelAPI && level != levelVM:
		return fmt.Errorf("there is no level %q: %s and %s are", level, levelAPI, levelVM)
	}
	s.Level = level
	return os.WriteFile(file, []byte(level+"\n"), 0o600)
}

// hypervisor starts what boots servers and carries their packets: a libvirt of
// its own and Neutron's agents.
func (s *stack) hypervisor(ctx context.Context) error {
	if !s.VM() {
		return nil
	}
	// dnsmasq, which is nobody, reads below neutron.
	for dir, mode := range map[string]os.FileMode{"": 0o711, "neutron": 0o755} {
		if err := os.Chmod(s.path(dir), mode); err != nil {
			return fmt.Errorf("cannot open the folder for dnsmasq: %w", err)
		}
	}
	if _, err := os.Stat(filepath.Join("/sys/class/net", s.Bridge())); err != nil {
		for _, args := range [][]string{
			{"link", "add", s.Bridge(), "type", "bridge"}, {"addr", "add", s.publicGateway() + "/24", "dev", s.Bridge()}, {"link", "set", s.Bridge(), "up"},
		} {
			if err := s.once(ctx, "bridge", nil, "ip", args...); err != nil {
				return err
			}
		}
	}
	// libvirtd's folders are fixed; it sees these instead.
	var binds strings.Builder
	for name, at := range map[string]string{"etc": "/etc", "run": "/run", "lib": "/var/lib", "cache": "/var/cache", "log": "/var/log"} {
		own := s.path("libvirt", name)
		for _, dir := range []string{own, filepath.Join(at, "libvirt")} {
			if err := os.MkdirAll(dir, 0o755); err != nil {
				return fmt.Errorf("cannot make libvirt's folder: %w", err)
			}
		}
		fmt.Fprintf(&binds, "mount --bind %s %s/libvirt\n", own, at)
	}
	for _, name := range []string{"libvirtd.conf", "qemu.conf"} {
		b, err := os.ReadFile(s.path("etc", name))
		if err == nil {
			err = os.WriteFile(s.path("libvirt", "etc", name), b, 0o600)
		}
		if err != nil {
			return fmt.Errorf("cannot configure libvirt: %w", err)
		}
	}
	if err := s.daemon("libvirtd", nil, "unshare", "-m", "sh", "-ec", binds.String()+"exec libvirtd -p "+s.path("libvirt", "run", "libvirtd.pid")); err != nil {
		return err
	}
	// An agent that finds no server asks again only after a minute.
	if err := s.until(ctx, "neutron-server", answering(s.URL(s.Neutron)+"/")); err != nil {
		return err
	}
	neutron := s.path("etc", "neutron.conf")
	if err := s.daemon("neutron-linuxbridge-agent", nil, "neutron-linuxbridge-agent", "--config-file", neutron, "--config-file", s.path("etc", "linuxbridge.ini")); err != nil {
		return err
	}
	for _, agent := range []string{"neutron-dhcp-agent", "neutron-l3-agent", "neutron-metadata-agent"} {
		if err := s.daemon(agent, nil, agent, "--config-file", neutron, "--config-file", s.path("etc", "agents.ini")); err != nil {
			return err
		}
	}
	return s.until(ctx, "libvirtd", func(context.Context) error {
		_, err := os.Stat(s.path("libvirt", "run", "libvirt-sock"))
		return err
	})
}

// settleAgents waits until Neutron's agents told that they work.
func (s *stack) settleAgents(ctx context.Context, admin *account) error {
	if !s.VM() {
		return nil
	}
	for _, name := range []string{"neutron-linuxbridge-agent", "neutron-dhcp-agent", "neutron-l3-agent", "neutron-metadata-agent"} {
		began := s.process(name).Began
		if err := s.until(ctx, name, func(ctx context.Context) error {
			var have struct {
				Agents []struct {
					Binary string `json:"binary"`
					Alive  bool   `json:"alive"`
					Beat   string `json:"heartbeat_timestamp"`
				} `json:"agents"`
			}
			if err := admin.get(ctx, s.network()+"/agents", &have); err != nil {
				return err
			}
			for _, a := range have.Agents {
				at, err := time.Parse(time.DateTime, a.Beat)
				if a.Binary == name && a.Alive && err == nil && !at.Before(began.Truncate(time.Second)) {
					return nil
				}
			}
			return fmt.Errorf("%s did not report yet", name)
		}); err != nil {
			return err
		}
	}
	return nil
}

// openDoors lets in what a micro BOSH is asked by: a security group named bosh.
func (s *stack) openDoors(ctx context.Context, demo *account) error {
	if !s.VM() {
		return nil
	}
	id, err := demo.ensure(ctx, s.network(), "security-groups", "security_group", tree{"name": "bosh"})
	if err != nil {
		return err
	}
	var have struct {
		Rules []struct {
			Direction string `json:"direction"`
		} `json:"security_group_rules"`
	}
	if err := demo.get(ctx, s.network()+"/security-group-rules?direction=ingress&security_group_id="+id, &have); err != nil || len(have.Rules) > 0 {
		return err
	}
	for _, rule := range []tree{
		{"protocol": "icmp"}, {"protocol": "tcp", "port_range_min": 22, "port_range_max": 22},
		{"protocol": "tcp", "port_range_min": 6868, "port_range_max": 6868}, {"protocol": "tcp", "port_range_min": 25555, "port_range_max": 25555},
	} {
		rule["direction"], rule["security_group_id"] = "ingress", id
		if _, err := demo.do(ctx, http.MethodPost, s.network()+"/security-group-rules", tree{"security_group_rule": rule}, nil); err != nil {
			return err
		}
	}
	return nil
}

// sweep ends what left its parents, and removes the networks of this machine.
func (s *stack) sweep(ctx context.Context) error {
	if !s.VM() {
		return nil
	}
	for _, pattern := range []string{"libvirt/run/qemu/*.pid", "neutron/dhcp/*/pid", "neutron/external/pids/*"} {
		files, err := filepath.Glob(s.path(pattern))
		if err != nil {
			return err
		}
		for _, file := range files {
			s.endOrphan(file)
		}
	}
	out, err := exec.CommandContext(ctx, "mariadb", "-N", "-S", s.socket(), "-u", "root", "-e",
		"select id from neutron.networks union select id from neutron.routers union select id from neutron.ports").Output()
	if err != nil {
		return fmt.Errorf("cannot list the networks to remove: %w", err)
	}
	links := []string{s.Bridge()}
	for _, id := range strings.Fields(string(out)) {
		for _, space := range []string{"qdhcp-" + id, "qrouter-" + id} {
			if _, err := os.Stat("/run/netns/" + space); err == nil {
				if err := s.once(ctx, "sweep", nil, "ip", "netns", "del", space); err != nil {
					return err
				}
			}
		}
		const long = 11 // as Neutron cuts it
		links = append(links, "brq"+id[:min(len(id), long)], "tap"+id[:min(len(id), long)])
	}
	for _, link := range links {
		if _, err := os.Stat("/sys/class/net/" + link); err == nil {
			if err := s.once(ctx, "sweep", nil, "ip", "link", "del", link); err != nil {
				return err
			}
		}
	}
	for _, table := range []string{"iptables", "ip6tables"} { // the agent's chains are named neutron-*
		if err := s.once(ctx, "sweep", nil, "sh", "-c", table+"-save | { grep -v neutron- || true; } | "+table+"-restore"); err != nil {
			return err
		}
	}
	return nil
}

// endOrphan ends the process of a pid file when it is one of this stack.
func (s *stack) endOrphan(file string) {
	b, err := os.ReadFile(file)
	if err != nil {
		return
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil {
		return
	}
	line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	if err == nil && bytes.Contains(line, []byte(s.Dir)) {
		_ = syscall.Kill(pid, syscall.SIGKILL) // it may have ended
	}
}

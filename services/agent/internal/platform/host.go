package platform

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"strings"

	"github.com/microbosh/microbosh/pkg/messages"
	"github.com/microbosh/microbosh/services/agent/internal/home"
)

// AuthorizeKeys records the keys of vcap.
func (r *Rootless) AuthorizeKeys(_ context.Context, keys []string) error {
	if len(keys) == 0 {
		return r.record("authorize_keys")
	}
	return r.record("authorize_keys", Change{
		What: "vcap's authorized keys", Path: "/home/vcap/.ssh/authorized_keys",
		Content: strings.Join(keys, "\n") + "\n",
	})
}

// Drop records the firewall rules.
func (r *Rootless) Drop(_ context.Context, drops []Drop) error {
	var changes []Change
	for _, d := range drops {
		rule := []string{"iptables", "-A", "agent-filter", "-d", d.To}
		if d.Port != 0 {
			rule = append(rule, "-p", "tcp", "--dport", strconv.Itoa(int(d.Port)))
		}
		changes = append(changes, Change{
			What: "only root may send to " + d.To,
			Run:  append(rule, "-m", "owner", "!", "--uid-owner", "root", "-j", "DROP"),
		})
	}
	return r.record("update_iptables", changes...)
}

// SetPassword records that there is one, not which.
func (r *Rootless) SetPassword(_ context.Context, hash string, accounts ...string) error {
	var changes []Change
	for _, account := range accounts {
		if hash != "" {
			changes = append(changes, Change{What: "the password of " + account})
		}
	}
	return r.record("update_passwords", changes...)
}

// SetHostname records the name and /etc/hosts.
func (r *Rootless) SetHostname(_ context.Context, name string) error {
	hosts := Hosts(name)
	return r.record("update_hostname",
		Change{What: "the host's name", Path: "/etc/hostname", Content: name + "\n"},
		Change{What: "the host's name now", Run: []string{"hostname", name}},
		Change{What: "names of this host", Path: "/etc/hosts", Content: hosts})
}

// SetupNetworking records the name servers of a DHCP client.
func (r *Rootless) SetupNetworking(_ context.Context, networks map[string]messages.Network) error {
	names := make([]string, 0, len(networks))
	for name := range networks {
		names = append(names, name)
	}
	sort.Strings(names)
	var changes []Change
	for _, name := range names {
		n := networks[name]
		isDNS := false
		for _, d := range n.Default {
			isDNS = isDNS || d == "dns"
		}
		if !isDNS || len(n.DNS) == 0 {
			continue
		}
		changes = append(changes, Change{
			What: "name servers of network " + name + ": " + strings.Join(n.DNS, ", "),
			Path: "/etc/dhcp/dhclient.conf",
		})
		break
	}
	return r.record("setup_networking", changes...)
}

// SetTime records the NTP servers.
func (r *Rootless) SetTime(_ context.Context, servers []string) error {
	if len(servers) == 0 {
		return r.record("update_time")
	}
	all := strings.Join(servers, " ")
	return r.record("update_time",
		Change{What: "NTP servers", Path: r.dir.Bosh("etc", "ntpserver"), Content: all},
		Change{What: "the clock", Run: append([]string{"ntpdate"}, servers...)})
}

// SetupDataDisk makes the data folder; a partition is only recorded.
func (r *Rootless) SetupDataDisk(_ context.Context, device string) error {
	if err := home.MkdirAll(r.dir.Join("data")); err != nil {
		return err
	}
	if device == "" {
		return r.record("setup_data_disk")
	}
	return r.record("setup_data_disk",
		Change{What: "swap on " + device + "1"},
		Change{What: "a file system on " + device + "2, mounted at " + r.dir.Join("data")})
}

// SetupDataSys makes data/sys/{log,run} and the link sys.
func (r *Rootless) SetupDataSys(context.Context) error {
	if err := home.MkdirAll(r.dir.Join("data", "sys", "log"), r.dir.Join("data", "sys", "run")); err != nil {
		return err
	}
	if err := home.Symlink(filepath.Join("data", "sys"), r.dir.Join("sys")); err != nil {
		return err
	}
	return r.record("setup_data_sys", Change{What: "data/sys/log and data/sys/run belong to root:vcap, mode 0750"})
}

// SetupTmp makes data/tmp for the agent and its jobs.
func (r *Rootless) SetupTmp(context.Context) error {
	if err := home.MkdirAll(r.dir.Join("data", "tmp")); err != nil {
		return err
	}
	return r.record("setup_tmp",
		Change{What: "a file system of 128 MiB mounted at /tmp, mode 0770 root:vcap"},
		Change{What: "/var/tmp is mode 0700"})
}

// HardenPermissions records the modes.
func (r *Rootless) HardenPermissions(context.Context) error {
	return r.record("harden_permissions",
		Change{What: "vcap alone may use cron", Path: "/etc/cron.allow", Content: "vcap\n"},
		Change{What: "vcap alone may use at", Path: "/etc/at.allow", Content: "vcap\n"},
		Change{What: "/dev/sr0 is mode 0660 root:root"},
		Change{What: "/dev/log is mode 0660 root:vcap"},
		Change{What: "/dev/shm and /var/lock are mode 0770 root:vcap"})
}

// SetupLogrotate records the file for logrotate.
func (r *Rootless) SetupLogrotate(_ context.Context, size string) error {
	logs := r.dir.Join("data", "sys", "log")
	return r.record("setup_logrotate", Change{
		What: "rotation of the jobs' logs", Path: "/etc/logrotate.d/vcap", Content: Logrotate(logs, size),
	})
}

// GiveToJobs has nothing to do: jobs run as the agent's own account.
func (r *Rootless) GiveToJobs(context.Context, string) error { return nil }

// Shutdown records that the machine would have been halted.
func (r *Rootless) Shutdown(context.Context) error {
	return r.record("shutdown", Change{What: "the machine halts", Run: []string{"shutdown", "-P", "0"}})
}

// DefaultNetwork reads the host's default route.
func (r *Rootless) DefaultNetwork(context.Context) (messages.Network, error) {
	f, err := os.Open("/proc/net/route")
	if err != nil {
		return messages.Network{}, fmt.Errorf("cannot read the default route: %w", err)
	}
	defer f.Close()
	name, gateway := defaultRoute(io.LimitReader(f, 1<<20))
	if name == "" {
		return messages.Network{}, fmt.Errorf("cannot read the default route: there is none")
	}
	device, err := net.InterfaceByName(name)
	if err != nil {
		return messages.Network{}, fmt.Errorf("cannot read the addresses of %s: %w", name, err)
	}
	addresses, err := device.Addrs()
	if err != nil {
		return messages.Network{}, fmt.Errorf("cannot read the addresses of %s: %w", name, err)
	}
	for _, a := range addresses {
		if ip, ok := a.(*net.IPNet); ok && ip.IP.To4() != nil {
			return messages.Network{IP: ip.IP.String(), Netmask: net.IP(ip.Mask).String(), Gateway: gateway}, nil
		}
	}
	return messages.Network{}, fmt.Errorf("cannot read the addresses of %s: it has none", name)
}

// defaultRoute reads /proc/net/route: interface, destination and gateway in
// little-endian hex.
func defaultRoute(table io.Reader) (device, gateway string) {
	lines := bufio.NewScanner(table)
	for lines.Scan() {
		f := strings.Fields(lines.Text())
		if len(f) < 8 || f[1] != "00000000" || f[7] != "00000000" {
			continue
		}
		raw, err := hex.DecodeString(f[2])
		if err != nil || len(raw) != net.IPv4len {
			continue
		}
		ip := make(net.IP, net.IPv4len)
		binary.BigEndian.PutUint32(ip, binary.LittleEndian.Uint32(raw))
		return f[0], ip.String()
	}
	return "", ""
}

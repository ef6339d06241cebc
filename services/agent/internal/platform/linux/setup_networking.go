package linux

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/microbosh/microbosh/pkg/messages"
	"github.com/microbosh/microbosh/services/agent/internal/home"
)

// SetupNetworking gives static networks their addresses, at once and in the
// files of the system's own network program, and the system its name servers.
// A dynamic network keeps what DHCP gave, as does a manual one on OpenStack.
func (l *Linux) SetupNetworking(ctx context.Context, networks map[string]messages.Network) error {
	var statics []static
	var dns []string
	for _, name := range slices.Sorted(maps.Keys(networks)) {
		n := networks[name]
		if dns == nil && slices.Contains(n.Default, "dns") && len(n.DNS) > 0 {
			dns = n.DNS
		}
		if n.Type != "manual" || n.UseDHCP == nil || *n.UseDHCP {
			continue
		}
		s, err := l.static(n)
		if err != nil {
			return fmt.Errorf("network %s: %w", name, err)
		}
		statics = append(statics, s)
	}
	for _, server := range dns {
		if net.ParseIP(server) == nil {
			return fmt.Errorf("cannot use the name server %q: it is no address", server)
		}
	}
	// A kill between a file and its program's restart would look done: the mark
	// outlives it.
	mark := l.dir.Bosh("networking.pending")
	changed, err := l.networkFiles(statics, dns, func() error { return home.WriteFile(mark, nil, 0o600) })
	if err != nil {
		return err
	}
	if _, err := os.Stat(mark); err == nil || changed {
		l.restartNetwork(ctx, len(statics) > 0)
	}
	if err := os.Remove(mark); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("cannot end the change of networks: %w", err)
	}
	for _, s := range statics {
		link, err := linkOf(s.mac)
		if err != nil {
			return err
		}
		if err := apply(link, s.ip, s.gateway); err != nil {
			return err
		}
	}
	return nil
}

func (l *Linux) static(n messages.Network) (static, error) {
	ip, err := address(n)
	if err != nil {
		return static{}, err
	}
	link, err := linkOf(n.MAC)
	if err != nil {
		return static{}, err
	}
	s := static{iface: link.Attrs().Name, mac: link.Attrs().HardwareAddr.String(), ip: ip, dns: n.DNS}
	if slices.Contains(n.Default, "gateway") && n.Gateway != "" {
		if s.gateway = net.ParseIP(n.Gateway).To4(); s.gateway == nil {
			return static{}, fmt.Errorf("cannot use the gateway %q", n.Gateway)
		}
	}
	return s, nil
}

// networkFiles writes what the system's program reads, and calls mark before
// the first change.
func (l *Linux) networkFiles(statics []static, dns []string, mark func() error) (changed bool, err error) {
	write := func(path, content string) error {
		if now, err := home.ReadFile(path); err == nil && string(now) == content {
			return nil
		}
		if !changed {
			if err := mark(); err != nil {
				return err
			}
		}
		changed = true
		_, err := put(path, content, 0o644, 0, 0)
		return err
	}
	networkd := exists("/run/systemd/netif")
	switch {
	case len(statics) > 0 && networkd:
		for _, s := range statics {
			err = errors.Join(err, write(filepath.Join("/etc/systemd/network", "10-bosh-"+s.iface+".network"), networkdFile(s)))
		}
	case len(statics) > 0 && exists("/etc/sysconfig/network-scripts"):
		for _, s := range statics {
			err = errors.Join(err, write("/etc/sysconfig/network-scripts/ifcfg-"+s.iface, ifcfgFile(s)))
		}
	case len(statics) > 0 && exists("/etc/network"):
		err = write("/etc/network/interfaces", interfacesFile(statics))
	case len(dns) > 0 && networkd:
		err = write("/etc/systemd/network/20-bosh-dhcp.network", networkdDHCP(dns))
	case len(dns) > 0 && exists("/etc/dhcp3"):
		err = write("/etc/dhcp3/dhclient.conf", dhclientFile(dns))
	case len(dns) > 0 && exists("/etc/dhcp"):
		err = write("/etc/dhcp/dhclient.conf", dhclientFile(dns))
	}
	if err != nil || len(dns) == 0 || networkd {
		return changed, err
	}
	if to, err := os.Readlink("/etc/resolv.conf"); err == nil && strings.Contains(to, "systemd") {
		return changed, write("/etc/systemd/resolved.conf.d/bosh.conf", resolvedFile(dns))
	}
	return changed, write("/etc/resolv.conf", resolvFile(dns))
}

// restartNetwork is best effort, as in the original: the addresses themselves
// are set by the kernel afterwards.
func (l *Linux) restartNetwork(ctx context.Context, statics bool) {
	var commands [][]string
	switch {
	case exists("/run/systemd/netif"):
		commands = [][]string{{"networkctl", "reload"}}
	case statics: // the addresses are applied directly
	case exists("/etc/sysconfig/network-scripts"):
		commands = [][]string{{"service", "network", "restart"}}
	case exists("/etc/init.d/networking"):
		commands = [][]string{{"pkill", "dhclient"}, {"/etc/init.d/networking", "restart"}}
	}
	if exists("/etc/systemd/resolved.conf.d/bosh.conf") {
		commands = append(commands, []string{"systemctl", "try-restart", "systemd-resolved"})
	}
	for _, c := range commands {
		if _, err := run(ctx, "", c[0], c[1:]...); err != nil {
			l.log.Warn().AnErr("err", err).Msg("the network program is not told of its new files")
		}
	}
}

func writeSys(path, value string) error { return os.WriteFile(path, []byte(value), 0o644) }

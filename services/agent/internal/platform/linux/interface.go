package linux

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/microbosh/microbosh/pkg/messages"
)

// linkOf finds the interface of a network by its MAC; the only one there is
// needs none.
func linkOf(mac string) (netlink.Link, error) {
	links, err := netlink.LinkList()
	if err != nil {
		return nil, fmt.Errorf("cannot list the interfaces: %w", err)
	}
	var found []netlink.Link
	for _, link := range links {
		a := link.Attrs()
		if a.Flags&net.FlagLoopback != 0 || len(a.HardwareAddr) == 0 {
			continue
		}
		if mac == "" || strings.EqualFold(a.HardwareAddr.String(), mac) {
			found = append(found, link)
		}
	}
	switch {
	case len(found) == 1:
		return found[0], nil
	case len(found) == 0 && mac != "":
		return nil, fmt.Errorf("MAC from settings not present in instance: %s", mac) //nolint:staticcheck // BOSH's text
	case len(found) == 0:
		return nil, errors.New("cannot find an interface: there is none but the loopback")
	default:
		return nil, fmt.Errorf("cannot choose between %d interfaces: the network needs its mac", len(found))
	}
}

// address of a network with its prefix.
func address(n messages.Network) (*net.IPNet, error) {
	ip, mask := net.ParseIP(n.IP), net.ParseIP(n.Netmask)
	if ip = ip.To4(); ip == nil || mask.To4() == nil {
		return nil, fmt.Errorf("cannot use the address %q with netmask %q", n.IP, n.Netmask)
	}
	m := net.IPMask(mask.To4())
	if ones, bits := m.Size(); ones == 0 && bits == 0 {
		return nil, fmt.Errorf("cannot use the netmask %q", n.Netmask)
	}
	return &net.IPNet{IP: ip, Mask: m}, nil
}

// apply gives the interface the address, and the way out when the network is
// the default's; other addresses of the same network go.
func apply(link netlink.Link, ip *net.IPNet, gateway net.IP) error {
	name := link.Attrs().Name
	// Neighbours learn of the address when it comes, without arping.
	_ = writeSys("/proc/sys/net/ipv4/conf/"+name+"/arp_notify", "1") // only a courtesy
	if err := netlink.LinkSetUp(link); err != nil {
		return fmt.Errorf("cannot bring %s up: %w", name, err)
	}
	if err := netlink.AddrReplace(link, &netlink.Addr{IPNet: ip}); err != nil {
		return fmt.Errorf("cannot give %s to %s: %w", ip, name, err)
	}
	if gateway == nil {
		return nil
	}
	err := netlink.RouteReplace(&netlink.Route{LinkIndex: link.Attrs().Index, Gw: gateway, Dst: &net.IPNet{IP: net.IPv4zero, Mask: net.CIDRMask(0, 32)}})
	if err != nil {
		return fmt.Errorf("cannot route by %s: %w", gateway, err)
	}
	return nil
}

// DefaultNetwork reads the default route and the address of its interface.
func (l *Linux) DefaultNetwork(context.Context) (messages.Network, error) {
	routes, err := netlink.RouteList(nil, unix.AF_INET)
	if err != nil {
		return messages.Network{}, fmt.Errorf("cannot read the default route: %w", err)
	}
	for _, r := range routes {
		if r.Dst != nil && !r.Dst.IP.IsUnspecified() {
			continue
		}
		link, err := netlink.LinkByIndex(r.LinkIndex)
		if err != nil {
			return messages.Network{}, fmt.Errorf("cannot read the default route: %w", err)
		}
		addresses, err := netlink.AddrList(link, unix.AF_INET)
		if err != nil {
			return messages.Network{}, fmt.Errorf("cannot read the addresses of %s: %w", link.Attrs().Name, err)
		}
		for _, a := range addresses {
			gateway := ""
			if r.Gw != nil {
				gateway = r.Gw.String()
			}
			return messages.Network{IP: a.IP.String(), Netmask: net.IP(a.Mask).String(), Gateway: gateway}, nil
		}
	}
	return messages.Network{}, errors.New("cannot read the default route: there is none")
}

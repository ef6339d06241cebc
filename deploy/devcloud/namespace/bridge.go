package namespace

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"

	"github.com/vishvananda/netlink"
)

const (
	bridgeName = "devcloud0"
	metadataIP = "169.254.169.254"
)

// makeBridge makes the network that servers meet on: the gateway's address and
// the metadata's are its own.
func makeBridge(subnet netip.Prefix) (gateway netip.Addr, err error) {
	gateway = subnet.Masked().Addr().Next()
	bridge := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: bridgeName}}
	if err := netlink.LinkAdd(bridge); err != nil && !errors.Is(err, os.ErrExist) {
		return gateway, fmt.Errorf("cannot make the bridge: %w", err)
	}
	link, err := netlink.LinkByName(bridgeName)
	if err != nil {
		return gateway, fmt.Errorf("cannot find the bridge: %w", err)
	}
	const host = 32
	for _, a := range []*net.IPNet{
		{IP: gateway.AsSlice(), Mask: net.CIDRMask(subnet.Bits(), host)},
		{IP: net.ParseIP(metadataIP).To4(), Mask: net.CIDRMask(host, host)},
	} {
		if err := netlink.AddrReplace(link, &netlink.Addr{IPNet: a}); err != nil {
			return gateway, fmt.Errorf("cannot give the bridge %s: %w", a, err)
		}
	}
	if err := netlink.LinkSetUp(link); err != nil {
		return gateway, fmt.Errorf("cannot bring the bridge up: %w", err)
	}
	return gateway, nil
}

// macOf is a server's: its address tells it.
func macOf(address netip.Addr) net.HardwareAddr {
	b := address.As4()
	return net.HardwareAddr{0xfa, 0x16, b[0], b[1], b[2], b[3]}
}

// plugIn gives the process's network an eth0 on the bridge.
func plugIn(pid int, address netip.Addr) error {
	bridge, err := netlink.LinkByName(bridgeName)
	if err != nil {
		return fmt.Errorf("cannot find the bridge: %w", err)
	}
	b := address.As4()
	name := fmt.Sprintf("dc%02x%02x%02x%02x", b[0], b[1], b[2], b[3])
	if old, err := netlink.LinkByName(name); err == nil { // a reboot came before the kernel was done
		if err := netlink.LinkDel(old); err != nil {
			return fmt.Errorf("cannot remove an old interface: %w", err)
		}
	}
	veth := &netlink.Veth{
		LinkAttrs: netlink.LinkAttrs{Name: name, MasterIndex: bridge.Attrs().Index}, PeerName: "eth0",
		PeerHardwareAddr: macOf(address), PeerNamespace: netlink.NsPid(pid),
	}
	if err := netlink.LinkAdd(veth); err != nil {
		return fmt.Errorf("cannot make the server's interface: %w", err)
	}
	if err := netlink.LinkSetUp(veth); err != nil {
		return fmt.Errorf("cannot bring the server's interface up: %w", err)
	}
	return nil
}

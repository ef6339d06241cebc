package namespace

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/vishvananda/netlink"
)

// askDHCP brings a server's network up, as its system would before the agent.
func askDHCP(ctx context.Context) error {
	for _, name := range []string{"lo", "eth0"} {
		link, err := netlink.LinkByName(name)
		if err != nil {
			return fmt.Errorf("cannot find %s: %w", name, err)
		}
		if err := netlink.LinkSetUp(link); err != nil {
			return fmt.Errorf("cannot bring %s up: %w", name, err)
		}
	}
	link, err := netlink.LinkByName("eth0")
	if err != nil {
		return fmt.Errorf("cannot find eth0: %w", err)
	}
	config := net.ListenConfig{Control: onInterface("eth0")}
	conn, err := config.ListenPacket(ctx, "udp4", ":68")
	if err != nil {
		return fmt.Errorf("cannot ask for an address: %w", err)
	}
	defer conn.Close()
	random := make([]byte, 4)
	if _, err := rand.Read(random); err != nil {
		return fmt.Errorf("cannot ask for an address: %w", err)
	}
	ask := dhcpMessage{op: bootRequest, xid: binary.BigEndian.Uint32(random), mac: link.Attrs().HardwareAddr}
	ask.options = map[byte][]byte{optionType: {dhcpDiscover}}
	offer, err := exchange(conn, ask, dhcpOffer)
	if err != nil {
		return err
	}
	ask.options = map[byte][]byte{optionType: {dhcpRequest}, optionServer: offer.options[optionServer], optionAddress: offer.yours.AsSlice()}
	ack, err := exchange(conn, ask, dhcpAck)
	if err != nil {
		return err
	}
	return configure(link, ack)
}

// exchange asks until the answer comes: what is sent by UDP may be lost.
func exchange(conn net.PacketConn, ask dhcpMessage, want byte) (dhcpMessage, error) {
	b := make([]byte, dhcpLargest)
	const tries, wait = 50, 100 * time.Millisecond
	for range tries {
		if _, err := conn.WriteTo(ask.bytes(), &net.UDPAddr{IP: net.IPv4bcast, Port: 67}); err != nil {
			return dhcpMessage{}, fmt.Errorf("cannot ask for an address: %w", err)
		}
		if err := conn.SetReadDeadline(time.Now().Add(wait)); err != nil {
			return dhcpMessage{}, fmt.Errorf("cannot ask for an address: %w", err)
		}
		for {
			n, _, err := conn.ReadFrom(b)
			if err != nil {
				break // too late, ask again
			}
			if got, err := parseDHCP(append([]byte(nil), b[:n]...)); err == nil && got.op == bootReply && got.xid == ask.xid && got.kind() == want {
				return got, nil
			}
		}
	}
	return dhcpMessage{}, errors.New("cannot get an address: nobody answers")
}

func configure(link netlink.Link, lease dhcpMessage) error {
	mask := net.IPMask(lease.options[optionMask])
	address := &net.IPNet{IP: lease.yours.AsSlice(), Mask: mask}
	if err := netlink.AddrReplace(link, &netlink.Addr{IPNet: address}); err != nil {
		return fmt.Errorf("cannot take the address %s: %w", address, err)
	}
	var router netip.Addr
	router, ok := lease.address(optionRouter)
	if !ok {
		return nil
	}
	const host = 32
	any := &net.IPNet{IP: net.IPv4zero, Mask: net.CIDRMask(0, host)}
	if err := netlink.RouteReplace(&netlink.Route{LinkIndex: link.Attrs().Index, Gw: router.AsSlice(), Dst: any}); err != nil {
		return fmt.Errorf("cannot route by %s: %w", router, err)
	}
	fmt.Println("devcloud: eth0 is", address, "by DHCP")
	return nil
}

package namespace

import (
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"syscall"

	"golang.org/x/sys/unix"
)

// onInterface makes sockets that hear and speak on one interface only, by
// broadcast.
func onInterface(name string) func(string, string, syscall.RawConn) error {
	return func(_, _ string, raw syscall.RawConn) error {
		var err error
		control := raw.Control(func(fd uintptr) {
			if err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEADDR, 1); err != nil {
				return
			}
			if err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_BROADCAST, 1); err != nil {
				return
			}
			err = unix.BindToDevice(int(fd), name)
		})
		if control != nil {
			return control
		}
		return err
	}
}

// dhcpServer gives every server the one address that is its own.
type dhcpServer struct {
	conn    net.PacketConn
	gateway netip.Addr
	subnet  netip.Prefix
	lease   func(net.HardwareAddr) (netip.Addr, bool)
	done    chan struct{}
}

func serveDHCP(ctx context.Context, gateway netip.Addr, subnet netip.Prefix, lease func(net.HardwareAddr) (netip.Addr, bool)) (*dhcpServer, error) {
	config := net.ListenConfig{Control: onInterface(bridgeName)}
	conn, err := config.ListenPacket(ctx, "udp4", ":67")
	if err != nil {
		return nil, fmt.Errorf("cannot serve DHCP: %w", err)
	}
	s := &dhcpServer{conn: conn, gateway: gateway, subnet: subnet, lease: lease, done: make(chan struct{})}
	go s.run()
	return s, nil
}

func (s *dhcpServer) run() {
	defer close(s.done)
	b := make([]byte, dhcpLargest)
	for {
		n, _, err := s.conn.ReadFrom(b)
		if err != nil {
			return // it was closed
		}
		ask, err := parseDHCP(b[:n])
		if err != nil || ask.op != bootRequest {
			continue
		}
		if reply, ok := s.answer(ask); ok {
			_, _ = s.conn.WriteTo(reply.bytes(), &net.UDPAddr{IP: net.IPv4bcast, Port: 68}) // it asks again
		}
	}
}

func (s *dhcpServer) answer(ask dhcpMessage) (dhcpMessage, bool) {
	kinds := map[byte]byte{dhcpDiscover: dhcpOffer, dhcpRequest: dhcpAck}
	kind, ok := kinds[ask.kind()]
	address, known := s.lease(ask.mac)
	if !ok || !known {
		return dhcpMessage{}, false
	}
	const host = 32
	return dhcpMessage{op: bootReply, xid: ask.xid, yours: address, mac: ask.mac, options: map[byte][]byte{
		optionType: {kind}, optionServer: s.gateway.AsSlice(), optionRouter: s.gateway.AsSlice(),
		optionMask:  net.CIDRMask(s.subnet.Bits(), host),
		optionLease: binary.BigEndian.AppendUint32(nil, leaseSeconds),
	}}, true
}

func (s *dhcpServer) close() error {
	err := s.conn.Close()
	<-s.done
	return err
}

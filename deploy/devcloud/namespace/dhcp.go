package namespace

import (
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
)

// The part of DHCP (RFC 2131, 2132) that one subnet needs.
const (
	bootRequest, bootReply = 1, 2
	dhcpHeader             = 236
	dhcpCookie             = 0x63825363
	dhcpLargest            = 1500

	dhcpDiscover, dhcpOffer, dhcpRequest, dhcpAck = 1, 2, 3, 5

	optionMask, optionRouter, optionAddress, optionLease = 1, 3, 50, 51
	optionType, optionServer, optionEnd                  = 53, 54, 255

	leaseSeconds = 86400
)

// dhcpMessage is what either side reads of the other.
type dhcpMessage struct {
	op      byte
	xid     uint32
	yours   netip.Addr
	mac     net.HardwareAddr
	options map[byte][]byte
}

func (d dhcpMessage) kind() byte {
	if k := d.options[optionType]; len(k) == 1 {
		return k[0]
	}
	return 0
}

func (d dhcpMessage) address(option byte) (netip.Addr, bool) {
	return netip.AddrFromSlice(d.options[option])
}

func parseDHCP(b []byte) (dhcpMessage, error) {
	if len(b) < dhcpHeader+4 || binary.BigEndian.Uint32(b[dhcpHeader:]) != dhcpCookie || b[2] != 6 {
		return dhcpMessage{}, errors.New("it is no DHCP over Ethernet")
	}
	yours, _ := netip.AddrFromSlice(b[16:20])
	d := dhcpMessage{op: b[0], xid: binary.BigEndian.Uint32(b[4:]), yours: yours, mac: net.HardwareAddr(b[28:34]), options: map[byte][]byte{}}
	for rest := b[dhcpHeader+4:]; len(rest) > 0 && rest[0] != optionEnd; {
		if rest[0] == 0 {
			rest = rest[1:]
			continue
		}
		if len(rest) < 2 || len(rest) < 2+int(rest[1]) {
			return dhcpMessage{}, errors.New("an option is cut")
		}
		d.options[rest[0]] = rest[2 : 2+int(rest[1])]
		rest = rest[2+int(rest[1]):]
	}
	return d, nil
}

func (d dhcpMessage) bytes() []byte {
	b := make([]byte, dhcpHeader+4)
	const ethernet, macLength, broadcast = 1, 6, 0x80
	b[0], b[1], b[2], b[10] = d.op, ethernet, macLength, broadcast // the asker has no address yet
	binary.BigEndian.PutUint32(b[4:], d.xid)
	if d.yours.IsValid() {
		copy(b[16:], d.yours.AsSlice())
	}
	copy(b[28:], d.mac)
	binary.BigEndian.PutUint32(b[dhcpHeader:], dhcpCookie)
	for _, o := range []byte{optionType, optionServer, optionLease, optionMask, optionRouter, optionAddress} {
		if v, ok := d.options[o]; ok {
			b = append(append(b, o, byte(len(v))), v...)
		}
	}
	return append(b, optionEnd)
}

package namespace

import (
	"net"
	"net/netip"
	"testing"
)

func TestDHCPGivesAServerItsOwnAddress(t *testing.T) {
	t.Parallel()
	own := netip.MustParseAddr("10.20.0.7")
	s := &dhcpServer{
		gateway: netip.MustParseAddr("10.20.0.1"), subnet: netip.MustParsePrefix("10.20.0.0/16"),
		lease: func(mac net.HardwareAddr) (netip.Addr, bool) { return own, mac.String() == macOf(own).String() },
	}
	for ask, want := range map[byte]byte{dhcpDiscover: dhcpOffer, dhcpRequest: dhcpAck} {
		sent := dhcpMessage{op: bootRequest, xid: 77, mac: macOf(own), options: map[byte][]byte{optionType: {ask}}}
		heard, err := parseDHCP(sent.bytes())
		if err != nil {
			t.Fatal(err)
		}
		reply, ok := s.answer(heard)
		if !ok {
			t.Fatal("no answer")
		}
		got, err := parseDHCP(reply.bytes())
		if err != nil || got.kind() != want || got.xid != 77 || got.yours != own {
			t.Errorf("got %+v %v", got, err)
		}
		if router, ok := got.address(optionRouter); !ok || router != s.gateway || net.IP(got.options[optionMask]).String() != "255.255.0.0" {
			t.Errorf("got %v", got.options)
		}
	}
	stranger := dhcpMessage{op: bootRequest, mac: net.HardwareAddr{2, 0, 0, 0, 0, 1}, options: map[byte][]byte{optionType: {dhcpDiscover}}}
	if _, ok := s.answer(stranger); ok {
		t.Error("a stranger got an address")
	}
}

func FuzzParseDHCP(f *testing.F) {
	f.Add(dhcpMessage{op: bootRequest, mac: macOf(netip.MustParseAddr("10.0.0.1")), options: map[byte][]byte{optionType: {1}}}.bytes())
	f.Add([]byte{})
	f.Fuzz(func(_ *testing.T, b []byte) { _, _ = parseDHCP(b) }) // it must not panic
}

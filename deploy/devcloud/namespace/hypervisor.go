package namespace

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"sync"

	"github.com/rs/zerolog"

	"github.com/microbosh/microbosh/deploy/devcloud"
)

var _ devcloud.Hypervisor = (*Hypervisor)(nil)

// Subnet is the usual one of servers' addresses.
const Subnet = "10.20.0.0/16"

// Options configure a hypervisor.
type Options struct {
	Subnet netip.Prefix              // of servers' addresses, default Subnet
	Size   func(folder string) int64 // bytes of the volume that lies in a folder
	Log    zerolog.Logger
}

// Hypervisor boots servers as namespaces.
type Hypervisor struct {
	self string // this program, which is also a server's first process
	o    Options
	dhcp *dhcpServer
	meta *metadata

	mu     sync.Mutex // guards guests
	guests map[netip.Addr]devcloud.Guest
}

// New makes the bridge and what answers on it. The program that calls it must
// call Init first thing in main, and Close at its end.
func New(ctx context.Context, o Options) (*Hypervisor, error) {
	if err := Available(); err != nil {
		return nil, fmt.Errorf("cannot boot servers in namespaces: %w", err)
	}
	if !o.Subnet.IsValid() {
		o.Subnet = netip.MustParsePrefix(Subnet)
	}
	if o.Size == nil {
		return nil, errors.New("cannot boot servers in namespaces: nobody tells the size of volumes")
	}
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("cannot find this program: %w", err)
	}
	h := &Hypervisor{self: self, o: o, guests: map[netip.Addr]devcloud.Guest{}}
	gateway, err := makeBridge(o.Subnet)
	if err != nil {
		return nil, err
	}
	if h.dhcp, err = serveDHCP(ctx, gateway, o.Subnet, h.lease); err != nil {
		return nil, err
	}
	if h.meta, err = serveMetadata(h.guest); err != nil {
		return nil, errors.Join(err, h.dhcp.close())
	}
	return h, nil
}

// Close stops DHCP and metadata. The bridge goes with its network.
func (h *Hypervisor) Close() error { return errors.Join(h.dhcp.close(), h.meta.close()) }

func (h *Hypervisor) guest(address netip.Addr) (devcloud.Guest, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	g, ok := h.guests[address]
	return g, ok
}

func (h *Hypervisor) lease(mac net.HardwareAddr) (netip.Addr, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for address := range h.guests {
		if macOf(address).String() == mac.String() {
			return address, true
		}
	}
	return netip.Addr{}, false
}

func (h *Hypervisor) know(g devcloud.Guest) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.guests[g.Address] = g
}

func (h *Hypervisor) unknow(g devcloud.Guest) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.guests, g.Address)
}

// Boot starts the server's first process and plugs in what it has.
func (h *Hypervisor) Boot(ctx context.Context, g devcloud.Guest) (devcloud.Machine, error) {
	if !h.o.Subnet.Contains(g.Address) {
		return nil, fmt.Errorf("cannot boot the server: its address %s is not in %s", g.Address, h.o.Subnet)
	}
	dir, err := filepath.Abs(g.Dir)
	if err != nil {
		return nil, fmt.Errorf("cannot boot the server: %w", err)
	}
	if g.Image.Path, err = filepath.Abs(g.Image.Path); err != nil {
		return nil, fmt.Errorf("cannot boot the server: %w", err)
	}
	g.Dir = dir
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("cannot boot the server: %w", err)
	}
	h.know(g)
	m := &machine{guest: g, hypervisor: h, disks: map[string]*disk{}, ended: make(chan struct{}), log: h.o.Log.With().Str("server", g.ID).Logger()}
	if err := m.start(ctx); err != nil {
		h.unknow(g)
		return nil, fmt.Errorf("cannot boot the server: %w", err)
	}
	return m, nil
}

// Remove removes a server's folder; nothing of it runs without devcloud.
func (h *Hypervisor) Remove(g devcloud.Guest) error {
	h.unknow(g)
	if err := os.RemoveAll(g.Dir); err != nil {
		return fmt.Errorf("cannot remove the server: %w", err)
	}
	return nil
}

// Forget has nothing to do: images are unpacked into their servers.
func (h *Hypervisor) Forget(devcloud.Image) error { return nil }

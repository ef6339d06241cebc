package devcloud

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
)

// Cloud is a running devcloud.
type Cloud struct {
	o        Options
	listener net.Listener
	server   *http.Server
	faults   *faults
	life     context.Context // ends with Run
	end      context.CancelFunc
	working  sync.WaitGroup // what runs beside requests

	mu        sync.Mutex // guards everything below
	ended     bool
	tokens    map[string]token
	images    map[string]*image
	burnt     map[string]bool // ids of deleted images: Glance never takes one again
	servers   map[string]*server
	keys      map[string]*keyPair
	networks  map[string]*network
	ports     map[string]*port
	groups    map[string]*securityGroup
	floating  map[string]*floatingIP
	pools     map[string]*pool
	volumes   map[string]*volume
	snapshots map[string]*snapshot
	projectID string
	clock     int64
}

// New opens the API's port; Run serves it.
func New(o Options) (*Cloud, error) {
	o, err := o.complete()
	if err != nil {
		return nil, err
	}
	f, err := newFaults(o.Faults)
	if err != nil {
		return nil, err
	}
	for _, dir := range []string{"images", "volumes", "servers"} {
		if err := os.MkdirAll(filepath.Join(o.Dir, dir), 0o700); err != nil {
			return nil, fmt.Errorf("cannot make the cloud's folders: %w", err)
		}
	}
	listener, err := net.Listen("tcp", o.Listen)
	if err != nil {
		return nil, fmt.Errorf("cannot open the cloud's port: %w", err)
	}
	c := &Cloud{
		o: o, listener: listener, faults: f,
		tokens: map[string]token{}, images: map[string]*image{}, burnt: map[string]bool{}, servers: map[string]*server{},
		keys: map[string]*keyPair{}, networks: map[string]*network{}, ports: map[string]*port{},
		groups: map[string]*securityGroup{}, pools: map[string]*pool{}, floating: map[string]*floatingIP{}, volumes: map[string]*volume{},
		snapshots: map[string]*snapshot{}, projectID: compactID(),
	}
	c.life, c.end = context.WithCancel(context.Background())
	c.seed()
	c.server = &http.Server{Handler: c.handler(), ReadHeaderTimeout: 10 * time.Second}
	return c, nil
}

// seed makes what a fresh project has.
func (c *Cloud) seed() {
	c.seedNetworks()
	c.keys["dev"] = &keyPair{Name: "dev", PublicKey: "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDevcloudDevcloudDevcloudDevcloudDevcloud0 dev"}
}

// URL is where the services are.
func (c *Cloud) URL() string { return "http://" + c.listener.Addr().String() }

// AuthURL is Keystone's address.
func (c *Cloud) AuthURL() string { return c.URL() + "/identity/v3" }

// Password is the user admin's.
func (c *Cloud) Password() string { return c.o.Password }

// NetworkID is the private network's.
func (c *Cloud) NetworkID() string { return c.networkNamed(Network).ID }

// SecondID is the second network's, "" when there is none.
func (c *Cloud) SecondID() string { return c.networkNamed(SecondNet).ID }

// Subnet is where servers' addresses come from.
func (c *Cloud) Subnet() netip.Prefix { return c.o.Subnet }

// FloatingAddresses are the allocated ones.
func (c *Cloud) FloatingAddresses() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var out []string
	for _, f := range oldest(c.floating) {
		out = append(out, f.Address.String())
	}
	return out
}

// Run serves until ctx ends, then ends every server that it booted.
func (c *Cloud) Run(ctx context.Context) error {
	served := make(chan error, 1)
	go func() {
		err := c.server.Serve(c.listener)
		if errors.Is(err, http.ErrServerClosed) {
			err = nil
		}
		served <- err
	}()
	var err error
	select {
	case err = <-served:
	case <-ctx.Done():
		c.faults.release()
		err = errors.Join(c.server.Close(), <-served)
	}
	c.mu.Lock()
	c.ended = true
	c.mu.Unlock()
	c.end()
	c.working.Wait()
	return errors.Join(err, c.stopMachines())
}

func (c *Cloud) stopMachines() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	results := make(chan error, len(c.servers))
	for _, s := range c.servers {
		m := s.machine
		s.machine = nil
		go func() {
			if m == nil {
				results <- nil
				return
			}
			results <- m.Stop(false)
		}()
	}
	var err error
	for range c.servers {
		err = errors.Join(err, <-results)
	}
	return err
}

// work runs f beside the requests; ctx ends with the cloud. The caller holds
// the mutex, f does not.
func (c *Cloud) work(f func(ctx context.Context)) {
	if c.ended {
		return
	}
	c.working.Go(func() { f(c.life) })
}

// soon runs f with the mutex held once the cloud's latency has passed: at once,
// before the caller goes on, when there is none. The caller holds the mutex.
func (c *Cloud) soon(f func()) {
	if c.o.Latency == 0 {
		f()
		return
	}
	c.work(func(ctx context.Context) {
		if !c.pause(ctx) {
			return
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		f()
	})
}

// pause waits the latency; false when the cloud ends.
func (c *Cloud) pause(ctx context.Context) bool {
	if c.o.Latency == 0 {
		return ctx.Err() == nil
	}
	t := time.NewTimer(c.o.Latency)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

func compactID() string { return strings.ReplaceAll(uuid.NewString(), "-", "") }

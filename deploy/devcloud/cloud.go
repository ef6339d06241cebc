package devcloud

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/rs/zerolog"
)

// Options configure a cloud.
type Options struct {
	Listen     string        // address of the API, default 127.0.0.1:0
	Dir        string        // where images, volumes and servers lie
	Password   string        // of the user admin; default random
	Latency    time.Duration // how long servers and volumes stay in a passing state
	Subnet     netip.Prefix  // of servers' addresses, default 127.20.0.0/16
	Hypervisor Hypervisor    // nil: servers become ACTIVE and boot nothing
	Faults     []Fault
	TokenLife  time.Duration // default 1 h
	Log        zerolog.Logger
}

// Names that every devcloud has.
const (
	User    = "admin"
	Project = "demo"
	Domain  = "Default"
	Region  = "RegionOne"
	Network = "private"
)

// Cloud is a running devcloud.
type Cloud struct {
	o        Options
	listener net.Listener
	server   *http.Server
	faults   *faults

	mu        sync.Mutex // guards everything below
	tokens    map[string]time.Time
	images    map[string]*image
	burnt     map[string]bool // ids of deleted images: Glance never takes one again
	servers   map[string]*server
	ports     map[string]*port
	floating  map[string]*floatingIP
	volumes   map[string]*volume
	snapshots map[string]*snapshot
	keypairs  map[string]string
	projectID string
	networkID string
	subnetID  string
	clock     int64 // gives creation times an order
}

// New opens the API's port; Run serves it.
func New(o Options) (*Cloud, error) {
	if o.Listen == "" {
		o.Listen = "127.0.0.1:0"
	}
	if !o.Subnet.IsValid() {
		o.Subnet = netip.MustParsePrefix("127.20.0.0/16")
	}
	if o.TokenLife == 0 {
		o.TokenLife = time.Hour
	}
	if o.Password == "" {
		b := make([]byte, 16)
		if _, err := rand.Read(b); err != nil {
			return nil, fmt.Errorf("cannot make a password: %w", err)
		}
		o.Password = hex.EncodeToString(b)
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
		o: o, listener: listener, faults: newFaults(o.Faults),
		tokens: map[string]time.Time{}, images: map[string]*image{}, burnt: map[string]bool{}, servers: map[string]*server{},
		ports: map[string]*port{}, floating: map[string]*floatingIP{}, volumes: map[string]*volume{},
		snapshots: map[string]*snapshot{}, keypairs: map[string]string{"dev": "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDevcloud dev"},
		projectID: compact(uuid.NewString()), networkID: uuid.NewString(), subnetID: uuid.NewString(),
	}
	for _, address := range []string{"203.0.113.10", "203.0.113.11"} {
		id := uuid.NewString()
		c.floating[id] = &floatingIP{ID: id, Address: address}
	}
	c.server = &http.Server{Handler: c.handler(), ReadHeaderTimeout: 10 * time.Second}
	return c, nil
}

// URL is where the services are.
func (c *Cloud) URL() string { return "http://" + c.listener.Addr().String() }

// AuthURL is Keystone's address.
func (c *Cloud) AuthURL() string { return c.URL() + "/identity/v3" }

// Password is the user admin's.
func (c *Cloud) Password() string { return c.o.Password }

// NetworkID is the one network's.
func (c *Cloud) NetworkID() string { return c.networkID }

// Run serves until ctx ends, then ends every server.
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
		err = errors.Join(c.server.Close(), <-served)
	}
	c.mu.Lock()
	var machines []Machine
	for _, s := range c.servers {
		if s.machine != nil {
			machines = append(machines, s.machine)
			s.machine = nil
		}
	}
	c.mu.Unlock()
	for _, m := range machines {
		err = errors.Join(err, m.Stop())
	}
	return err
}

// Inventory is what the cloud holds, by kind.
type Inventory struct {
	Servers     []Item `json:"servers"`
	Volumes     []Item `json:"volumes"`
	Images      []Item `json:"images"`
	Ports       []Item `json:"ports"`
	Snapshots   []Item `json:"snapshots"`
	FloatingIPs []Item `json:"floating_ips"` // associated ones
}

// Item is one resource.
type Item struct {
	ID     string   `json:"id"`
	Name   string   `json:"name"`
	Status string   `json:"status"`
	Tags   []string `json:"tags,omitempty"`
}

// Empty tells whether nothing is left.
func (i Inventory) Empty() bool {
	return len(i.Servers)+len(i.Volumes)+len(i.Images)+len(i.Ports)+len(i.Snapshots)+len(i.FloatingIPs) == 0
}

// Inventory lists everything.
func (c *Cloud) Inventory() Inventory {
	c.mu.Lock()
	defer c.mu.Unlock()
	inv := Inventory{Servers: []Item{}, Volumes: []Item{}, Images: []Item{}, Ports: []Item{}, Snapshots: []Item{}, FloatingIPs: []Item{}}
	for _, s := range sorted(c.servers) {
		inv.Servers = append(inv.Servers, Item{s.ID, s.Name, s.Status, s.Tags})
	}
	for _, v := range sorted(c.volumes) {
		inv.Volumes = append(inv.Volumes, Item{v.ID, v.Name, v.Status, nil})
	}
	for _, i := range sorted(c.images) {
		inv.Images = append(inv.Images, Item{i.ID, i.Name, i.Status, i.Tags})
	}
	for _, p := range sorted(c.ports) {
		inv.Ports = append(inv.Ports, Item{p.ID, p.Name, "ACTIVE", p.Tags})
	}
	for _, s := range sorted(c.snapshots) {
		inv.Snapshots = append(inv.Snapshots, Item{s.ID, s.Name, s.Status, nil})
	}
	for _, f := range sorted(c.floating) {
		if f.PortID != "" {
			inv.FloatingIPs = append(inv.FloatingIPs, Item{f.ID, f.Address, "ACTIVE", nil})
		}
	}
	return inv
}

// WriteFiles leaves clouds.yaml (JSON is YAML) and devcloud.json in the folder.
func (c *Cloud) WriteFiles() error {
	clouds := map[string]any{"clouds": map[string]any{"devcloud": map[string]any{
		"region_name": Region,
		"auth": map[string]string{
			"auth_url": c.AuthURL(), "username": User, "password": c.o.Password, "project_name": Project,
			"user_domain_name": Domain, "project_domain_name": Domain,
		},
	}}}
	about := map[string]string{"url": c.URL(), "auth_url": c.AuthURL()}
	for name, v := range map[string]any{"clouds.yaml": clouds, "devcloud.json": about} {
		b, err := json.MarshalIndent(v, "", "  ")
		if err != nil {
			return fmt.Errorf("cannot encode %s: %w", name, err)
		}
		if err := os.WriteFile(filepath.Join(c.o.Dir, name), append(b, '\n'), 0o600); err != nil {
			return fmt.Errorf("cannot write %s: %w", name, err)
		}
	}
	return nil
}

// tick gives a creation time; no two are the same, in order of creation. The
// caller holds the mutex.
func (c *Cloud) tick() time.Time {
	c.clock = max(c.clock+1, time.Now().UnixMicro())
	return time.UnixMicro(c.clock).UTC()
}

// ready is when something that passes through a state leaves it.
func (c *Cloud) ready() time.Time { return time.Now().Add(c.o.Latency) }

func compact(id string) string {
	out := make([]byte, 0, 32)
	for i := range len(id) {
		if id[i] != '-' {
			out = append(out, id[i])
		}
	}
	return string(out)
}

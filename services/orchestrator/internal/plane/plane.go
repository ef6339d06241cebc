package plane

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/google/renameio/v2"

	"github.com/microbosh/microbosh/pkg/bus/embed"
	"github.com/microbosh/microbosh/pkg/messages"
)

// Ports of a bus, as NATS has them.
const (
	clientPort = 4222
	routePort  = 6222
)

// About is plane.json: what the plane was made for.
type About struct {
	Nodes    []string `json:"nodes"`    // hosts of the bus, by name or address
	Registry string   `json:"registry"` // URL at which VMs reach the registry
	Store    string   `json:"store"`    // folder of JetStream on each node
	Port     int      `json:"port"`     // of the bus, for clients
}

// Plane is a folder of identities.
type Plane struct {
	dir   string
	about About
	one   bool // everything is in keys/, as the embedded bus has it
	now   func() time.Time
}

// Open reads a plane, or the state folder of an embedded bus.
func Open(dir string) (*Plane, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("cannot name the folder: %w", err)
	}
	p := &Plane{dir: abs, now: time.Now}
	b, err := os.ReadFile(p.path("plane.json"))
	if errors.Is(err, fs.ErrNotExist) {
		if _, err := os.Stat(p.path("keys", messages.RoleAdmin+".nk")); err == nil {
			p.one = true
			return p, nil
		}
		return nil, messages.Errorf(messages.CodeStateInvalid, "there is no control plane in %s", abs).
			WithHint("`microbosh init %s` makes one", dir)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot read the control plane: %w", err)
	}
	if err := json.Unmarshal(b, &p.about); err != nil || len(p.about.Nodes) == 0 {
		return nil, messages.Errorf(messages.CodeStateInvalid, "cannot read %s", p.path("plane.json")).
			WithHint("restore the file; the keys beside it are still good")
	}
	return p, nil
}

// Init makes a plane, or finishes one; made tells whether anything was missing. A plane
// that was made for something else is refused.
func Init(dir string, about About) (p *Plane, made bool, err error) {
	if about.Port == 0 {
		about.Port = clientPort
	}
	if err := check(about); err != nil {
		return nil, false, err
	}
	p, err = Open(dir)
	switch {
	case err == nil && (p.one || !same(p.about, about)):
		return nil, false, messages.Errorf(messages.CodeStateInvalid, "%s holds another control plane", dir).
			WithHint("choose an empty folder, or say what plane.json there says")
	case err == nil:
	case messages.CodeOf(err) != messages.CodeStateInvalid || exists(filepath.Join(dir, "plane.json")):
		return nil, false, err
	default:
		abs, err := filepath.Abs(dir)
		if err != nil {
			return nil, false, fmt.Errorf("cannot name the folder: %w", err)
		}
		p = &Plane{dir: abs, about: about, now: time.Now}
		if err := os.MkdirAll(abs, 0o711); err != nil { // services find their own folder in it
			return nil, false, fmt.Errorf("cannot make the folder: %w", err)
		}
		b, err := json.MarshalIndent(about, "", "  ")
		if err != nil {
			return nil, false, fmt.Errorf("cannot encode plane.json: %w", err)
		}
		if _, err := write(p.path("plane.json"), append(b, '\n'), 0o644); err != nil {
			return nil, false, err
		}
	}
	made, err = p.fill()
	return p, made, err
}

func check(about About) error {
	if len(about.Nodes) == 0 || about.Registry == "" {
		return messages.Errorf(messages.CodeUsage, "a control plane needs the hosts of its bus and the URL of its registry").
			WithHint("microbosh init DIR --bus-host bus.example --registry http://registry.example:25777")
	}
	for i, host := range about.Nodes {
		if host == "" || strings.ContainsAny(host, "/ \t\n\"") || slices.Contains(about.Nodes[:i], host) {
			return messages.Errorf(messages.CodeUsage, "%.60q is no host of its own", host)
		}
	}
	return nil
}

func same(a, b About) bool {
	return slices.Equal(a.Nodes, b.Nodes) && a.Registry == b.Registry && a.Store == b.Store && a.Port == b.Port
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func (p *Plane) path(parts ...string) string {
	return filepath.Join(append([]string{p.dir}, parts...)...)
}

// keys is the folder that the programs of a role are given.
func (p *Plane) keys(role messages.Role) string {
	if p.one {
		return p.path("keys")
	}
	return p.path(role)
}

// authorities is the folder of what signs servers and roles.
func (p *Plane) authorities() string {
	if p.one {
		return p.path("keys")
	}
	return p.path("ca")
}

// bus is the folder of a node of the bus.
func (p *Plane) bus(node int) string {
	if len(p.about.Nodes) == 1 {
		return p.path("bus")
	}
	return p.path(fmt.Sprint("bus-", node+1))
}

// URL is what clients are given as --bus.
func (p *Plane) URL() string {
	urls := make([]string, 0, len(p.about.Nodes))
	for _, host := range p.about.Nodes {
		urls = append(urls, fmt.Sprintf("tls://%s", join(host, p.about.Port)))
	}
	return strings.Join(urls, ",")
}

func join(host string, port int) string {
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	return fmt.Sprintf("%s:%d", host, port)
}

// Keys is the folder that the programs of a role are given as --keys.
func (p *Plane) Keys(role messages.Role) string { return p.keys(role) }

// write puts a file in place unless it holds the same already.
func write(path string, data []byte, mode os.FileMode) (bool, error) {
	if have, err := os.ReadFile(path); err == nil && string(have) == string(data) {
		return false, nil
	}
	if err := renameio.WriteFile(path, data, mode, renameio.IgnoreUmask()); err != nil {
		return false, fmt.Errorf("cannot write %s: %w", path, err)
	}
	return true, nil
}

// configure writes the configuration of every node.
func (p *Plane) configure() (made bool, err error) {
	c := embed.Config{Port: p.about.Port, Store: p.about.Store, Keys: map[messages.Role][]string{}}
	for _, role := range roles() {
		if c.Keys[role], err = embed.PublicUsers(p.keys(role), role); err != nil {
			return made, err
		}
	}
	if c.Warden, err = embed.PublicUsers(p.keys(messages.RoleRegistry), embed.Warden); err != nil {
		return made, err
	}
	if c.Issuer, err = embed.EnsureIssuer(p.keys(messages.RoleRegistry)); err != nil {
		return made, err
	}
	if len(p.about.Nodes) > 1 {
		c.Cluster, c.Route = "microbosh", routePort
		for _, host := range p.about.Nodes {
			c.Routes = append(c.Routes, join(host, routePort))
		}
	}
	for i, host := range p.about.Nodes {
		c.Name, c.Folder, c.Host = fmt.Sprint("microbosh-", i+1), p.bus(i), ""
		if ip := net.ParseIP(host); ip != nil && ip.IsLoopback() { // nobody else finds it there
			c.Host = host
		}
		text, err := c.Encode()
		if err != nil {
			return made, err
		}
		wrote, err := write(p.Config(i), text, 0o600)
		if err != nil {
			return made, err
		}
		if err := embed.CheckConfig(p.Config(i)); err != nil {
			return made, err
		}
		made = made || wrote
	}
	return made, nil
}

// Config is the configuration of a node's nats-server.
func (p *Plane) Config(node int) string { return filepath.Join(p.bus(node), "nats.conf") }

// roles are those that log in with an nkey.
func roles() []messages.Role {
	return []messages.Role{
		messages.RoleAdmin, messages.RoleCLI, messages.RoleOrchestrator, messages.RoleCPI, messages.RoleRegistry, messages.RoleOps,
	}
}

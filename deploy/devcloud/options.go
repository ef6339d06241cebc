package devcloud

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"time"

	"github.com/rs/zerolog"
)

// Names that every devcloud has.
const (
	User       = "admin"
	Project    = "demo"
	Domain     = "Default"
	Region     = "RegionOne"
	Network    = "private"
	SecondNet  = "second"
	External   = "public"
	Zone       = "nova"
	Credential = "devcloud" // id of an application credential whose secret is the password
)

// Options configure a cloud.
type Options struct {
	Listen     string        // address of the API, default 127.0.0.1:0
	Dir        string        // where images, volumes and servers lie; required
	Password   string        // of the user admin; default random
	Latency    time.Duration // how long resources stay in each passing state, default 0
	Subnet     netip.Prefix  // of servers' addresses, default 127.20.0.0/16
	Second     netip.Prefix  // of one more private network, default none: Nova then wants servers to say which
	External   netip.Prefix  // of floating IPs, default 203.0.113.0/24: for documentation, nobody answers there
	Hypervisor Hypervisor    // nil: servers become ACTIVE and boot nothing
	Faults     []Fault       // as by SetFaults
	Hook       Hook          // nil: none
	TokenLife  time.Duration // default 1 h
	Quota      Quota         // default DefaultQuota
	Log        zerolog.Logger
}

// Hook is told of every request before it takes effect: n counts from 1 the
// requests so far. It may block; a false cuts the connection without effect.
type Hook func(n int, r *http.Request) bool

// Quota limits what the project may have; -1 is no limit.
type Quota struct {
	Instances       int
	Cores           int
	RAM             int // MiB
	Volumes         int
	Gigabytes       int
	Snapshots       int
	Ports           int
	Images          int
	ServerMetadata  int
	FloatingIPs     int
	SecurityGroups  int
	KeyPairs        int
	ImageUploadSize int64 // bytes
}

// DefaultQuota is generous enough for a workstation.
func DefaultQuota() Quota {
	return Quota{
		Instances: 100, Cores: 400, RAM: 1 << 20, Volumes: 100, Gigabytes: 10_000, Snapshots: 100, Ports: 500, Images: 100,
		ServerMetadata: 128, FloatingIPs: 50, SecurityGroups: 50, KeyPairs: 100, ImageUploadSize: 64 << 30,
	}
}

// NoQuota limits nothing.
func NoQuota() Quota {
	return Quota{
		Instances: -1, Cores: -1, RAM: -1, Volumes: -1, Gigabytes: -1, Snapshots: -1, Ports: -1, Images: -1, ServerMetadata: -1,
		FloatingIPs: -1, SecurityGroups: -1, KeyPairs: -1, ImageUploadSize: DefaultQuota().ImageUploadSize,
	}
}

func (o Options) complete() (Options, error) {
	if o.Dir == "" {
		return o, errors.New("cannot make a cloud: it has no folder")
	}
	if o.Listen == "" {
		o.Listen = "127.0.0.1:0"
	}
	if !o.Subnet.IsValid() {
		o.Subnet = netip.MustParsePrefix("127.20.0.0/16")
	}
	if !o.External.IsValid() {
		o.External = netip.MustParsePrefix("203.0.113.0/24")
	}
	for _, subnet := range []*netip.Prefix{&o.Subnet, &o.External, &o.Second} {
		if subnet == &o.Second && !o.Second.IsValid() {
			continue
		}
		if !subnet.Addr().Is4() || subnet.Bits() > 24 {
			return o, fmt.Errorf("cannot make a cloud: the subnet %s is no IPv4 network of at least 256 addresses", subnet)
		}
		*subnet = subnet.Masked()
	}
	if o.TokenLife == 0 {
		o.TokenLife = time.Hour
	}
	if o.Quota == (Quota{}) {
		o.Quota = DefaultQuota()
	}
	if o.Password == "" {
		b := make([]byte, 16)
		if _, err := rand.Read(b); err != nil {
			return o, fmt.Errorf("cannot make a password: %w", err)
		}
		o.Password = hex.EncodeToString(b)
	}
	return o, nil
}

func over(limit, wanted int) bool { return limit >= 0 && wanted > limit }

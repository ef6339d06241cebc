package namespace

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"time"

	"github.com/microbosh/microbosh/deploy/devcloud"
)

// metadata is the EC2-style service at its well-known address. Who asks is told
// by the address that only that server has.
type metadata struct {
	server *http.Server
	done   chan struct{}
}

func serveMetadata(guest func(netip.Addr) (devcloud.Guest, bool)) (*metadata, error) {
	listener, err := net.Listen("tcp4", metadataIP+":80")
	if err != nil {
		return nil, fmt.Errorf("cannot serve metadata: %w", err)
	}
	m := &metadata{done: make(chan struct{}), server: &http.Server{
		ReadHeaderTimeout: 5 * time.Second, WriteTimeout: 30 * time.Second,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			from, err := netip.ParseAddrPort(r.RemoteAddr)
			if err != nil {
				http.NotFound(w, r)
				return
			}
			g, ok := guest(from.Addr().Unmap())
			body := documents(g)[r.URL.Path]
			if !ok || len(body) == 0 || r.Method != http.MethodGet {
				http.NotFound(w, r)
				return
			}
			w.Header().Set("Content-Type", "text/plain; charset=utf-8")
			_, _ = w.Write(body) // the agent may have gone
		}),
	}}
	go func() {
		defer close(m.done)
		_ = m.server.Serve(listener) // ends with close
	}()
	return m, nil
}

func documents(g devcloud.Guest) map[string][]byte {
	about := map[string]any{"uuid": g.ID, "name": g.Name, "hostname": g.Name, "meta": g.Meta, "availability_zone": devcloud.Zone}
	if g.Key != "" {
		about["public_keys"] = map[string]string{"default": g.Key}
	}
	document, err := json.Marshal(about)
	if err != nil {
		document = nil // strings and maps of them always can be written
	}
	return map[string][]byte{
		"/latest/user-data":                             g.UserData,
		"/latest/meta-data/instance-id":                 []byte(g.ID),
		"/latest/meta-data/hostname":                    []byte(g.Name),
		"/latest/meta-data/local-ipv4":                  []byte(g.Address.String()),
		"/latest/meta-data/public-keys/0/openssh-key":   []byte(g.Key),
		"/latest/meta-data/placement/availability-zone": []byte(devcloud.Zone),
		"/openstack/latest/user_data":                   g.UserData,
		"/openstack/latest/meta_data.json":              document,
	}
}

func (m *metadata) close() error {
	err := m.server.Close()
	<-m.done
	return err
}

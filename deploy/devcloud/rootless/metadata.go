package rootless

import (
	"encoding/json"
	"net"
	"net/http"
	"time"

	"github.com/microbosh/microbosh/deploy/devcloud"
)

// metadata is the EC2-style service of one server, on that server's address.
type metadata struct {
	listener net.Listener
	server   *http.Server
}

func serveMetadata(spec devcloud.MachineSpec) (*metadata, error) {
	listener, err := net.Listen("tcp", net.JoinHostPort(spec.IP, "0"))
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	text := func(pattern string, body []byte) {
		mux.HandleFunc("GET "+pattern, func(w http.ResponseWriter, r *http.Request) {
			if len(body) == 0 {
				http.NotFound(w, r)
				return
			}
			_, _ = w.Write(body) // the agent may have gone
		})
	}
	about, err := json.Marshal(map[string]any{"uuid": spec.ID, "name": spec.Name, "hostname": spec.Name})
	if err != nil {
		return nil, err
	}
	text("/latest/user-data", spec.UserData)
	text("/latest/meta-data/instance-id", []byte(spec.ID))
	text("/latest/meta-data/local-ipv4", []byte(spec.IP))
	text("/latest/meta-data/public-keys/0/openssh-key", []byte(spec.PublicKey))
	text("/openstack/latest/user_data", spec.UserData)
	text("/openstack/latest/meta_data.json", about)
	m := &metadata{listener: listener, server: &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}}
	go func() { _ = m.server.Serve(listener) }() // ends with close
	return m, nil
}

func (m *metadata) url() string { return "http://" + m.listener.Addr().String() }

func (m *metadata) close() error { return m.server.Close() }

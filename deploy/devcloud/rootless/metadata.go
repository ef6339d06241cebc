package rootless

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/microbosh/microbosh/deploy/devcloud"
)

// metadata is the EC2-style service of one server, on that server's address. It
// answers to programs of the user who runs devcloud, and to root: user data
// holds passwords, and a loopback address is open to everybody on the host.
type metadata struct {
	listener net.Listener
	server   *http.Server
	done     chan struct{}
}

func serveMetadata(g devcloud.Guest) (*metadata, error) {
	listener, err := net.Listen("tcp", net.JoinHostPort(g.Address.String(), "0"))
	if err != nil {
		return nil, fmt.Errorf("cannot serve metadata: %w", err)
	}
	about := map[string]any{"uuid": g.ID, "name": g.Name, "hostname": g.Name, "meta": g.Meta, "availability_zone": devcloud.Zone}
	if g.Key != "" {
		about["public_keys"] = map[string]string{"default": g.Key}
	}
	document, err := json.Marshal(about)
	if err != nil {
		return nil, fmt.Errorf("cannot serve metadata: %w", err)
	}
	mux := http.NewServeMux()
	for path, body := range map[string][]byte{
		"/latest/user-data":                             g.UserData,
		"/latest/meta-data/instance-id":                 []byte(g.ID),
		"/latest/meta-data/hostname":                    []byte(g.Name),
		"/latest/meta-data/local-ipv4":                  []byte(g.Address.String()),
		"/latest/meta-data/public-keys/0/openssh-key":   []byte(g.Key),
		"/latest/meta-data/placement/availability-zone": []byte(devcloud.Zone),
		"/openstack/latest/user_data":                   g.UserData,
		"/openstack/latest/meta_data.json":              document,
	} {
		mux.HandleFunc("GET "+path, func(w http.ResponseWriter, r *http.Request) {
			if len(body) == 0 {
				http.NotFound(w, r)
				return
			}
			w.Header().Set("Content-Type", "text/plain; charset=utf-8")
			_, _ = w.Write(body) // the agent may have gone
		})
	}
	m := &metadata{listener: listener, done: make(chan struct{})}
	m.server = &http.Server{
		Handler: ownersOnly(mux), ReadHeaderTimeout: 5 * time.Second, WriteTimeout: 30 * time.Second,
		ConnContext: func(ctx context.Context, conn net.Conn) context.Context {
			return context.WithValue(ctx, ownerKey{}, owner(conn.RemoteAddr(), conn.LocalAddr()))
		},
	}
	go func() {
		defer close(m.done)
		_ = m.server.Serve(listener) // ends with close
	}()
	return m, nil
}

type ownerKey struct{}

func ownersOnly(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if uid, ok := r.Context().Value(ownerKey{}).(int); !ok || uid != 0 && uid != os.Getuid() {
			http.Error(w, "this metadata is another user's", http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func (m *metadata) url() string { return "http://" + m.listener.Addr().String() }

func (m *metadata) close() error {
	err := m.server.Close()
	<-m.done
	return err
}

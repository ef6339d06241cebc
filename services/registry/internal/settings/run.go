package settings

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"time"

	"github.com/google/renameio/v2"
	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"

	"github.com/microbosh/microbosh/pkg/bus"
	"github.com/microbosh/microbosh/pkg/cert"
	"github.com/microbosh/microbosh/pkg/daemon"
	"github.com/microbosh/microbosh/pkg/messages"
	"github.com/microbosh/microbosh/pkg/seal"
)

const (
	busWait       = 30 * time.Second
	headerTimeout = 5 * time.Second
	readTimeout   = 10 * time.Second
	writeTimeout  = 40 * time.Second // longer than the bus is asked again
	idleTimeout   = 2 * time.Minute
	stopTimeout   = 5 * time.Second
	maxHeader     = 16 * 1024
	maxConns      = 1024
)

// Options say how a registry runs.
type Options struct {
	Bus       string       // URL of the bus
	Keys      string       // folder with registry.nk; registry.xk and registry.http are made when missing
	Listen    string       // address of the HTTP API
	Advertise string       // URL that VMs reach it at; default: the address listened on
	Ready     func() error // called once both doors are open; nil = nothing
	Log       zerolog.Logger
}

// Run serves until ctx ends. While it does, registry.json beside the folder of
// keys tells the URL of the HTTP API.
func Run(ctx context.Context, o Options) error {
	ring, err := seal.OpenRing(o.Keys, messages.RoleRegistry)
	if err != nil {
		return err
	}
	credential, err := OpenCredential(filepath.Join(o.Keys, "registry.http"))
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", o.Listen)
	if err != nil {
		return messages.Errorf(messages.CodeUsage, "cannot listen on %s: %w", o.Listen, err).WithHint("choose another address with --listen")
	}
	defer l.Close()
	url, err := endpoint(o.Advertise, l.Addr())
	if err != nil {
		return err
	}
	conn, err := bus.Connect(ctx, bus.Options{
		URL: o.Bus, Name: daemon.Source("microbosh-registry"), Wait: busWait, Log: o.Log,
		SeedFile: filepath.Join(o.Keys, "registry.nk"), InboxPrefix: messages.InboxPrefix(messages.RoleRegistry),
	})
	if err != nil {
		return err
	}
	defer conn.Close()
	bucket, err := conn.Bucket(ctx, messages.BucketSettings)
	if err != nil {
		return err
	}
	store := NewStore(bucket, ring)
	defer bucket.OnReconnect(store.known.reset)()
	if bucket, err = conn.Bucket(ctx, messages.BucketIdentity); err != nil {
		return err
	}
	warden, err := bus.Connect(ctx, bus.Options{
		URL: o.Bus, Name: daemon.Source("microbosh-registry-warden"), Wait: busWait, Log: o.Log,
		SeedFile: filepath.Join(o.Keys, "registry.sys.nk"), InboxPrefix: messages.InboxPrefix(messages.RoleRegistry),
	})
	if err != nil {
		return err
	}
	defer warden.Close()
	ids := &Identities{bucket: bucket, ring: ring, keys: o.Keys, cut: warden.Cut}
	if _, _, err := agentAuthority(o.Keys); err != nil { // said now, not when the first VM is made
		return err
	}

	group, ctx := errgroup.WithContext(ctx)
	open, asked := make(chan struct{}), make(chan struct{})
	group.Go(func() error {
		return conn.Serve(ctx, bus.Service{
			Name: messages.ServiceRegistry, Version: version(), Description: "settings of VMs",
			Endpoints: (&service{store: store, ids: ids, ring: ring, log: o.Log}).endpoints(),
			Ready:     func() { close(open) },
		})
	})
	group.Go(func() error {
		logins := bus.Logins{IssuerFile: filepath.Join(o.Keys, "registry.issuer"), Check: ids.Check}
		return conn.ServeLogins(ctx, logins, func() { close(asked) })
	})
	group.Go(func() error { return serveHTTP(ctx, l, NewAPI(store, credential, o.Log)) })
	group.Go(func() error {
		for _, ready := range []chan struct{}{open, asked} {
			select {
			case <-ready:
			case <-ctx.Done():
				return nil
			}
		}
		file := daemon.RegistryFile(o.Keys)
		if o.Advertise == "" || !told(file, url) { // a control plane's folder tells it for good
			if err := writeEndpoint(file, url); err != nil {
				return err
			}
			defer removeEndpoint(file, url)
		}
		o.Log.Info().Str("url", url).Msg("serving settings")
		if o.Ready != nil {
			if err := o.Ready(); err != nil {
				return err
			}
		}
		<-ctx.Done()
		return nil
	})
	return group.Wait()
}

// agentAuthority is what signs the certificates of agents, and the authorities
// that they trust; nil where the bus speaks no TLS.
func agentAuthority(keys string) (*cert.Authority, []byte, error) {
	authority, err := cert.OpenAuthority(keys, cert.AgentAuthority)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, fmt.Errorf("cannot read what signs the agents' certificates: %w", err)
	}
	bundle, err := os.ReadFile(bus.CAFile(keys))
	if err != nil {
		return nil, nil, fmt.Errorf("cannot read the authorities of the bus: %w", err)
	}
	return authority, bundle, nil
}

func serveHTTP(ctx context.Context, l net.Listener, h http.Handler) error {
	srv := &http.Server{
		Handler: h, ReadHeaderTimeout: headerTimeout, ReadTimeout: readTimeout, WriteTimeout: writeTimeout,
		IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeader,
	}
	ended := make(chan error, 1)
	go func() { ended <- srv.Serve(limit(l, maxConns)) }()
	select {
	case err := <-ended:
		return fmt.Errorf("cannot serve the HTTP API: %w", err)
	case <-ctx.Done():
	}
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
	defer cancel()
	if srv.Shutdown(stop) != nil {
		_ = srv.Close()
	}
	if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("cannot serve the HTTP API: %w", err)
	}
	return nil
}

// endpoint is where VMs reach the API.
func endpoint(advertise string, addr net.Addr) (string, error) {
	if advertise != "" {
		return strings.TrimSuffix(advertise, "/"), nil
	}
	if tcp, ok := addr.(*net.TCPAddr); ok && tcp.IP.IsUnspecified() {
		return "", messages.Errorf(messages.CodeUsage, "%s is no address that a VM could call", addr).
			WithHint("say with --advertise at which URL VMs reach the registry")
	}
	return "http://" + addr.String(), nil
}

func writeEndpoint(file, url string) error {
	b, err := json.Marshal(map[string]string{"url": url})
	if err != nil {
		return fmt.Errorf("cannot encode the registry's address: %w", err)
	}
	if err := renameio.WriteFile(file, append(b, '\n'), 0o600); err != nil {
		return fmt.Errorf("cannot write the registry's address: %w", err)
	}
	return nil
}

// removeEndpoint leaves what another registry wrote meanwhile.
func removeEndpoint(file, url string) {
	if told(file, url) {
		_ = os.Remove(file)
	}
}

func told(file, url string) bool {
	b, err := os.ReadFile(file)
	var at struct {
		URL string `json:"url"`
	}
	return err == nil && json.Unmarshal(b, &at) == nil && at.URL == url
}

func version() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		return strings.TrimPrefix(info.Main.Version, "v")
	}
	return ""
}

package director

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/google/renameio/v2"
	"github.com/google/uuid"
	"github.com/rs/zerolog"
)

// Options say what the Director is.
type Options struct {
	Spec    Spec
	Data    string // its folder, made when missing
	Version string
	Ready   func() error // called once it listens; nil = nobody is told
	Log     zerolog.Logger
}

// Info is the body of /info, in the bosh CLI's words.
type Info struct {
	Name     string         `json:"name"`
	UUID     string         `json:"uuid"`
	Version  string         `json:"version"`
	User     *string        `json:"user"`
	CPI      string         `json:"cpi"`
	Features map[string]any `json:"features"`
}

// Director answers /info.
type Director struct {
	o        Options
	info     Info
	listener net.Listener
}

// New opens the data folder and listens.
func New(o Options) (*Director, error) {
	if err := os.MkdirAll(o.Data, 0o700); err != nil {
		return nil, fmt.Errorf("cannot make the data folder: %w", err)
	}
	id, err := identity(o.Data)
	if err != nil {
		return nil, err
	}
	cert, err := certificate(o.Data, o.Spec.Address, time.Now())
	if err != nil {
		return nil, err
	}
	listener, err := tls.Listen("tcp", net.JoinHostPort(o.Spec.Address, strconv.Itoa(o.Spec.Port)), &tls.Config{
		Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12,
	})
	if err != nil {
		return nil, fmt.Errorf("cannot listen: %w", err)
	}
	return &Director{o: o, listener: listener, info: Info{
		Name: o.Spec.Name, UUID: id, Version: o.Version, CPI: "openstack", Features: map[string]any{},
	}}, nil
}

// Address is where it listens.
func (d *Director) Address() string { return d.listener.Addr().String() }

// Run serves until ctx ends.
func (d *Director) Run(ctx context.Context) error {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /info", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(d.info)
	})
	server := &http.Server{
		Handler: mux, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second,
		WriteTimeout: 10 * time.Second, IdleTimeout: time.Minute, MaxHeaderBytes: 16 << 10,
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(d.listener) }()
	d.o.Log.Info().Str("address", d.Address()).Msg("the director answers")
	if d.o.Ready != nil {
		if err := d.o.Ready(); err != nil {
			d.o.Log.Warn().Err(err).Msg("readiness not told")
		}
	}
	select {
	case err := <-served:
		return fmt.Errorf("cannot serve: %w", err)
	case <-ctx.Done():
	}
	bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	if err := server.Shutdown(bounded); err != nil {
		_ = server.Close()
	}
	if err := <-served; !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("cannot serve: %w", err)
	}
	return nil
}

// identity is the Director's uuid, made once: it outlives the VM on the
// persistent disk.
func identity(dir string) (string, error) {
	path := filepath.Join(dir, "uuid")
	b, err := os.ReadFile(path)
	if err == nil {
		if id, err := uuid.Parse(strings.TrimSpace(string(b))); err == nil {
			return id.String(), nil
		}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("cannot read the director's uuid: %w", err)
	}
	id := uuid.NewString()
	if err := renameio.WriteFile(path, []byte(id+"\n"), 0o600); err != nil {
		return "", fmt.Errorf("cannot keep the director's uuid: %w", err)
	}
	return id, nil
}

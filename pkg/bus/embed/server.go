package embed

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/rs/zerolog"

	"github.com/microbosh/microbosh/pkg/bus"
	"github.com/microbosh/microbosh/pkg/messages"
)

const (
	loginWait  = 1.0 // seconds; less than a client waits for the server, so that it hears why
	readyWait  = 10 * time.Second
	answerWait = 5 * time.Minute // how long after a request its answer may be published
)

// Options say where the bus lives and listens.
type Options struct {
	Dir  string // the state folder, made when missing
	Host string // default 127.0.0.1; 0.0.0.0 for all addresses
	Port int    // 0 = the one of the last start, else a free one
	Log  zerolog.Logger
}

// Server is a running bus.
type Server struct {
	dir  string
	url  string
	nats *server.Server
	lock *os.File
}

// Start runs a provisioned bus. The error has code state_locked when another
// process holds the folder.
func Start(ctx context.Context, o Options) (*Server, error) {
	if o.Host == "" {
		o.Host = "127.0.0.1"
	}
	dir, err := filepath.Abs(o.Dir)
	if err != nil {
		return nil, fmt.Errorf("cannot name the bus folder: %w", err)
	}
	if err := os.MkdirAll(filepath.Join(dir, "keys"), 0o700); err != nil {
		return nil, fmt.Errorf("cannot make the bus folder: %w", err)
	}
	lock, err := lockDir(dir)
	if err != nil {
		return nil, err
	}
	s := &Server{dir: dir, lock: lock}
	if err := s.run(ctx, o); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

func (s *Server) run(ctx context.Context, o Options) error {
	var err error
	port := o.Port
	if port == 0 {
		if port, err = rememberedPort(s.dir); err != nil {
			return err
		}
	}
	if err := free(o.Host, port); err != nil {
		return err
	}
	if port == 0 {
		port = server.RANDOM_PORT
	}
	options := &server.Options{
		ServerName:             "microbosh",
		Host:                   o.Host,
		Port:                   port,
		JetStream:              true,
		StoreDir:               filepath.Join(s.dir, "jetstream"),
		SyncAlways:             true,
		NoSigs:                 true,
		DisableJetStreamBanner: true,
		AuthTimeout:            loginWait,
	}
	if err := identities(filepath.Join(s.dir, "keys"), options); err != nil {
		return err
	}
	if keys := filepath.Join(s.dir, "keys"); encrypted(keys, o.Host) {
		if err := encrypt(keys, o.Host, options); err != nil {
			return fmt.Errorf("cannot prepare TLS for the bus: %w", err)
		}
	}
	if s.nats, err = server.NewServer(options); err != nil {
		return fmt.Errorf("cannot set up the bus: %w", err)
	}
	s.nats.SetLoggerV2(logger{o.Log.With().Str("component", "nats").Logger()}, false, false, false)
	go s.nats.Start()
	if !s.nats.ReadyForConnections(readyWait) {
		return messages.Errorf(messages.CodeBusUnreachable, "the bus did not start within %s", readyWait).
			WithHint("look at its log; the folder %s may be damaged or full", s.dir)
	}
	addr, ok := s.nats.Addr().(*net.TCPAddr)
	if !ok {
		return errors.New("cannot tell the port of the bus")
	}
	host := o.Host
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1" // every address, so this one too
	}
	s.url = "nats://" + net.JoinHostPort(host, strconv.Itoa(addr.Port))
	if err := s.provision(ctx, o.Log); err != nil {
		return err
	}
	return writeAddress(s.dir, s.url, addr.Port)
}

func (s *Server) provision(ctx context.Context, log zerolog.Logger) error {
	c, err := bus.Connect(ctx, bus.Options{
		URL: s.url, Name: "provision", SeedFile: KeyFile(s.dir, messages.RoleAdmin),
		InboxPrefix: messages.InboxPrefix(messages.RoleAdmin), Log: log,
	})
	if err != nil {
		return err
	}
	defer c.Close()
	return c.Provision(ctx, 1)
}

// URL is where the bus listens.
func (s *Server) URL() string { return s.url }

// Close stops the bus and gives the folder free.
func (s *Server) Close() {
	if s.nats != nil {
		removeAddress(s.dir)
		s.nats.Shutdown()
		s.nats.WaitForShutdown()
	}
	_ = s.lock.Close()
}

package mbus

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"path"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/microbosh/microbosh/pkg/messages"
)

// replyWait is how long a POST waits for its answer, as BOSH's agents do.
const replyWait = 30 * time.Second

// maxBlob bounds what is put to /blobs.
const maxBlob = 4 << 30

// Blobs is the VM's own blobstore.
type Blobs interface {
	Open(id string) (io.ReadCloser, int64, error)
	Put(id string, from io.Reader) error
}

// HTTPSOptions of an HTTPS transport.
type HTTPSOptions struct {
	URL         string // https://user:password@host:port
	Certificate tls.Certificate
	Dispatcher  Dispatcher
	Blobs       Blobs
	Log         zerolog.Logger
}

// HTTPS serves POST /agent and GET and PUT /blobs/.
type HTTPS struct {
	o        HTTPSOptions
	host     string
	user     *url.Userinfo
	dispatch sync.Mutex // one request at a time is handed to the dispatcher
}

// NewHTTPS makes the transport.
func NewHTTPS(o HTTPSOptions) (*HTTPS, error) {
	u, err := url.Parse(o.URL)
	if err != nil || u.Scheme != "https" || u.Port() == "" {
		return nil, errors.New("cannot serve the agent over HTTPS: mbus is no https://host:port URL") // the cause would show the password
	}
	if o.Dispatcher == nil || o.Blobs == nil {
		return nil, errors.New("cannot serve the agent over HTTPS: dispatcher and blobs are needed")
	}
	return &HTTPS{o: o, host: u.Host, user: u.User}, nil
}

// Run serves until ctx ends; ready is called with the address it listens on.
func (h *HTTPS) Run(ctx context.Context, ready func(net.Addr)) error {
	plain, err := (&net.ListenConfig{}).Listen(ctx, "tcp", h.host)
	if err != nil {
		return fmt.Errorf("cannot listen on %s: %w", h.host, err)
	}
	listener := tls.NewListener(plain, &tls.Config{
		Certificates: []tls.Certificate{h.o.Certificate}, MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"},
	})
	const headerWait = 10 * time.Second
	server := &http.Server{
		Handler: h, ReadHeaderTimeout: headerWait, MaxHeaderBytes: 16 << 10,
		// An answer that ends the agent must still go out.
		BaseContext: func(net.Listener) context.Context { return context.WithoutCancel(ctx) },
	}
	stop := context.AfterFunc(ctx, func() {
		const grace = 2 * time.Second
		limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
		defer cancel()
		if server.Shutdown(limited) != nil {
			_ = server.Close()
		}
	})
	defer stop()
	h.o.Log.Info().Stringer("address", plain.Addr()).Msg("listening for HTTPS")
	ready(plain.Addr())
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("cannot serve HTTPS: %w", err)
	}
	return nil
}

func (h *HTTPS) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !h.authorized(r) {
		w.Header().Set("WWW-Authenticate", `Basic realm=""`)
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	switch {
	case r.URL.Path == "/agent" && r.Method == http.MethodPost:
		h.agent(w, r)
	case path.Dir(r.URL.Path) != "/" && len(r.URL.Path) > len("/blobs/") && r.URL.Path[:len("/blobs/")] == "/blobs/":
		h.blob(w, r)
	default:
		w.WriteHeader(http.StatusNotFound)
	}
}

func (h *HTTPS) authorized(r *http.Request) bool {
	if h.user == nil {
		return true
	}
	user, password, _ := r.BasicAuth()
	want, _ := h.user.Password()
	got := sha256.Sum256([]byte(user + "\x00" + password))
	expected := sha256.Sum256([]byte(h.user.Username() + "\x00" + want))
	return subtle.ConstantTimeCompare(got[:], expected[:]) == 1
}

func (h *HTTPS) agent(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, MaxRequest+1))
	if err != nil {
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	req, err := Parse(body)
	if err != nil {
		h.o.Log.Warn().AnErr("err", err).Msg("a body that is no request is refused")
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	h.dispatch.Lock()
	answer := h.o.Dispatcher.Dispatch(req)
	h.dispatch.Unlock()
	ctx, cancel := context.WithTimeout(r.Context(), replyWait)
	defer cancel()
	replies := make(chan messages.AgentReply, 1)
	go func() { replies <- answer(ctx) }()
	reply := Exception("Timed out")
	select {
	case reply = <-replies:
	case <-ctx.Done():
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(append(Encode(reply, 0), '\n'))
}

func (h *HTTPS) blob(w http.ResponseWriter, r *http.Request) {
	id := path.Base(r.URL.Path)
	switch r.Method {
	case http.MethodGet:
		blob, size, err := h.o.Blobs.Open(id)
		if err != nil {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		defer blob.Close()
		w.Header().Set("Content-Length", fmt.Sprint(size))
		_, _ = io.Copy(w, blob)
	case http.MethodPut:
		if err := h.o.Blobs.Put(id, http.MaxBytesReader(w, r.Body, maxBlob)); err != nil {
			h.o.Log.Warn().AnErr("err", err).Msg("a blob could not be stored")
			w.WriteHeader(http.StatusInternalServerError)
			_ = json.NewEncoder(w).Encode(Exception("the blob could not be stored"))
			return
		}
		w.WriteHeader(http.StatusCreated)
	default:
		w.WriteHeader(http.StatusNotFound)
	}
}

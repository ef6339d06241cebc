// Package tunneltest has an SSH server for tests, which forwards ports from its
// machine's loopback address to its clients.
package tunneltest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"sync"
	"testing"

	"golang.org/x/crypto/ssh"
)

// Log writes a program's lines into a test's log.
type Log struct{ T testing.TB }

func (l *Log) Write(b []byte) (int, error) {
	l.T.Logf("%s", bytes.TrimSpace(b))
	return len(b), nil
}

// Serve starts a server at an address with that private host key, which lets
// the authorized key in. stop ends it and its connections.
func Serve(t testing.TB, address, hostKey, authorized string) (stop func()) {
	t.Helper()
	host, err := ssh.ParsePrivateKey([]byte(hostKey))
	if err != nil {
		t.Fatal(err)
	}
	known, _, _, _, err := ssh.ParseAuthorizedKey([]byte(authorized))
	if err != nil {
		t.Fatal(err)
	}
	config := &ssh.ServerConfig{PublicKeyCallback: func(_ ssh.ConnMetadata, key ssh.PublicKey) (*ssh.Permissions, error) {
		if bytes.Equal(key.Marshal(), known.Marshal()) {
			return nil, nil
		}
		return nil, errors.New("not this key")
	}}
	config.AddHostKey(host)
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	s := &server{config: config, open: map[io.Closer]bool{l: true}}
	s.done.Go(func() { s.serve(l) })
	stop = sync.OnceFunc(s.stop)
	t.Cleanup(stop)
	return stop
}

type server struct {
	config *ssh.ServerConfig
	done   sync.WaitGroup

	mu    sync.Mutex
	ended bool               // guarded by mu
	open  map[io.Closer]bool // guarded by mu
}

func (s *server) stop() {
	s.mu.Lock()
	s.ended = true
	for c := range s.open {
		c.Close()
	}
	s.mu.Unlock()
	s.done.Wait()
}

// hold closes c with the server.
func (s *server) hold(c io.Closer) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		c.Close()
		return false
	}
	s.open[c] = true
	return true
}

func (s *server) serve(l net.Listener) {
	for {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		if s.hold(conn) {
			s.done.Go(func() { s.client(conn) })
		}
	}
}

func (s *server) client(conn net.Conn) {
	defer conn.Close()
	client, channels, requests, err := ssh.NewServerConn(conn, s.config)
	if err != nil {
		return
	}
	s.done.Go(func() {
		for c := range channels {
			_ = c.Reject(ssh.Prohibited, "only ports are forwarded here")
		}
	})
	var listeners []net.Listener
	for r := range requests {
		if r.Type != "tcpip-forward" {
			_ = r.Reply(false, nil)
			continue
		}
		l, err := s.forward(client, r.Payload)
		if err == nil {
			listeners = append(listeners, l)
		}
		_ = r.Reply(err == nil, nil)
	}
	for _, l := range listeners {
		l.Close()
	}
}

// forward listens for a client. RFC 4254, 7.1 and 7.2.
func (s *server) forward(client *ssh.ServerConn, payload []byte) (net.Listener, error) {
	var wanted struct {
		Address string
		Port    uint32
	}
	if err := ssh.Unmarshal(payload, &wanted); err != nil {
		return nil, fmt.Errorf("cannot read the request: %w", err)
	}
	l, err := net.Listen("tcp", net.JoinHostPort(wanted.Address, strconv.Itoa(int(wanted.Port))))
	if err != nil {
		return nil, err
	}
	s.hold(l)
	s.done.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			if s.hold(conn) {
				s.done.Go(func() { carry(client, conn, wanted.Address, wanted.Port) })
			}
		}
	})
	return l, nil
}

func carry(client *ssh.ServerConn, conn net.Conn, address string, port uint32) {
	defer conn.Close()
	channel, requests, err := client.OpenChannel("forwarded-tcpip", ssh.Marshal(struct {
		Address string
		Port    uint32
		From    string
		FromTCP uint32
	}{address, port, "127.0.0.1", 1}))
	if err != nil {
		return
	}
	defer channel.Close()
	go ssh.DiscardRequests(requests)
	back := make(chan struct{})
	go func() {
		defer close(back)
		_, _ = io.Copy(conn, channel)
		conn.Close()
	}()
	_, _ = io.Copy(channel, conn)
	_ = channel.CloseWrite()
	<-back
}

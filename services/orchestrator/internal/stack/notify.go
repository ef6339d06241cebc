package stack

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"net"
	"strings"
)

// notifySocket hears sd_notify messages of one start of one child. Its address
// is abstract, since a path in a deep folder would be too long for a socket,
// and random, so that nobody else can speak for the child.
type notifySocket struct {
	conn *net.UnixConn
	name string
}

func listenNotify() (*notifySocket, error) {
	var random [16]byte
	if _, err := rand.Read(random[:]); err != nil {
		return nil, fmt.Errorf("cannot name the readiness socket: %w", err)
	}
	name := "@microbosh-" + hex.EncodeToString(random[:])
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: name, Net: "unixgram"})
	if err != nil {
		return nil, fmt.Errorf("cannot listen for readiness: %w", err)
	}
	return &notifySocket{conn: conn, name: name}, nil
}

// wait returns true once the child said that it is ready, false when the socket
// was closed before.
func (s *notifySocket) wait() bool {
	buf := make([]byte, 4096)
	for {
		n, err := s.conn.Read(buf)
		if err != nil {
			return false
		}
		for line := range strings.SplitSeq(string(buf[:n]), "\n") {
			if line == "READY=1" {
				return true
			}
		}
	}
}

func (s *notifySocket) close() { _ = s.conn.Close() }

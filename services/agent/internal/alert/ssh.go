package alert

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/microbosh/microbosh/pkg/messages"
)

// Logins hears the system log's auth messages, which BOSH's stemcells forward
// to 127.0.0.1:33331.
type Logins struct {
	listener net.Listener
	heard    func(title, summary string)
}

// ListenForLogins opens the port; 0 is a free one. heard must not block.
func ListenForLogins(ctx context.Context, port int, heard func(title, summary string)) (*Logins, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		return nil, fmt.Errorf("cannot listen for logins: %w", err)
	}
	return &Logins{listener: l, heard: heard}, nil
}

// Addr is where it listens.
func (l *Logins) Addr() net.Addr { return l.listener.Addr() }

// Run serves until ctx ends.
func (l *Logins) Run(ctx context.Context) error {
	return accept(ctx, l.listener, func(conn net.Conn) {
		lines := bufio.NewScanner(conn)
		lines.Buffer(make([]byte, maxLine), maxLine)
		for lines.Scan() {
			if title, summary, ok := Login(lines.Text()); ok {
				l.heard(title, summary)
			}
		}
	})
}

// Login tells whether a line of the system log is one of somebody who came or
// went by SSH. The content begins after the program's name.
func Login(line string) (title, summary string, ok bool) {
	summary = strings.ToValidUTF8(line, "?")
	if at := strings.Index(summary, "sshd"); at >= 0 {
		if _, content, found := strings.Cut(summary[at:], ": "); found {
			summary = content
		}
	}
	summary = strings.TrimSpace(summary)
	switch {
	case strings.HasSuffix(summary, "disconnected by user"):
		return "SSH Logout", summary, true
	case strings.Contains(summary, "Accepted publickey for"):
		return "SSH Login", summary, true
	}
	return "", "", false
}

// OfLogin is the alert of a login.
func OfLogin(id string, at time.Time, title, summary string) messages.Alert {
	return messages.Alert{ID: id, Severity: warning, Title: title, Summary: summary, CreatedAt: at.Unix()}
}

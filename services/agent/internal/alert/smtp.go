package alert

import (
	"bufio"
	"context"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/rs/zerolog"
)

// What the receiver grants a sender.
const (
	quietLimit = 10 * time.Second
	maxMail    = 1 << 20
	maxLine    = 4 << 10
	maxSenders = 16
)

// Receiver is the small SMTP server that monit sends its alerts to. The
// transaction of a known sender always succeeds, so that monit does not send
// again.
type Receiver struct {
	listener       net.Listener
	user, password string
	took           func(Mail)
	log            zerolog.Logger
}

// Listen opens the port of 127.0.0.1; 0 is a free one. took hears every mail
// and must not block.
func Listen(ctx context.Context, port int, user, password string, took func(Mail), log zerolog.Logger) (*Receiver, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		return nil, fmt.Errorf("cannot listen for monit's alerts: %w", err)
	}
	return &Receiver{listener: l, user: user, password: password, took: took, log: log}, nil
}

// Port is where it listens.
func (r *Receiver) Port() int { return r.listener.Addr().(*net.TCPAddr).Port }

// Run serves until ctx ends.
func (r *Receiver) Run(ctx context.Context) error {
	return accept(ctx, r.listener, r.serve)
}

// accept handles connections, a bounded number at once, until ctx ends.
func accept(ctx context.Context, l net.Listener, serve func(net.Conn)) error {
	stop := context.AfterFunc(ctx, func() { _ = l.Close() })
	defer stop()
	var all sync.WaitGroup
	defer all.Wait()
	slots := make(chan struct{}, maxSenders)
	for {
		conn, err := l.Accept()
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
		select {
		case slots <- struct{}{}:
		default:
			_ = conn.Close()
			continue
		}
		all.Go(func() {
			defer func() { <-slots }()
			done := context.AfterFunc(ctx, func() { _ = conn.Close() })
			defer done()
			defer conn.Close()
			serve(conn)
		})
	}
}

func (r *Receiver) serve(conn net.Conn) {
	s := &session{Receiver: r, conn: conn, in: bufio.NewReaderSize(conn, maxLine)}
	s.say("220 BOSH Agent SMTP Server")
	for {
		line, err := s.line()
		if err != nil || !s.command(line) {
			return
		}
	}
}

// session is one sender.
type session struct {
	*Receiver
	conn  net.Conn
	in    *bufio.Reader
	known bool
	from  bool
	to    bool
}

func (s *session) say(text string) {
	_ = s.conn.SetWriteDeadline(time.Now().Add(quietLimit))
	_, _ = io.WriteString(s.conn, text+"\r\n")
}

func (s *session) line() (string, error) {
	if err := s.conn.SetReadDeadline(time.Now().Add(quietLimit)); err != nil {
		return "", err
	}
	line, err := s.in.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		s.say("500 Line too long")
	}
	return strings.TrimRight(string(line), "\r\n"), err
}

// command answers one line; false ends the session.
func (s *session) command(line string) bool {
	verb, rest, _ := strings.Cut(line, " ")
	switch verb = strings.ToUpper(verb); {
	case verb == "QUIT":
		s.say("221 Bye")
		return false
	case verb == "EHLO":
		s.say("250-localhost")
		s.say("250-AUTH PLAIN LOGIN")
		s.say("250 SIZE " + fmt.Sprint(maxMail))
	case verb == "HELO":
		s.say("250 localhost")
	case verb == "NOOP":
		s.say("250 OK")
	case verb == "RSET":
		s.from, s.to = false, false
		s.say("250 OK")
	case verb == "AUTH":
		return s.auth(rest)
	case !s.known:
		s.say("530 Authentication required")
	case verb == "MAIL":
		s.from = true
		s.say("250 OK")
	case verb == "RCPT" && s.from:
		s.to = true
		s.say("250 OK")
	case verb == "DATA" && s.to:
		return s.data()
	case verb == "RCPT", verb == "DATA":
		s.say("503 Bad sequence of commands")
	default:
		s.say("502 Command not implemented")
	}
	return true
}

// auth knows PLAIN and, as newer monits use it, LOGIN.
func (s *session) auth(rest string) bool {
	ask := func(prompt string) (string, bool) {
		s.say("334 " + base64.StdEncoding.EncodeToString([]byte(prompt)))
		line, err := s.line()
		return decode(line), err == nil
	}
	kind, initial, given := strings.Cut(rest, " ")
	var user, password string
	switch strings.ToUpper(kind) {
	case "PLAIN":
		text := decode(initial)
		if !given {
			var ok bool
			if text, ok = ask(""); !ok {
				return false
			}
		}
		parts := strings.Split(text, "\x00")
		const plainParts = 3
		if len(parts) == plainParts {
			user, password = parts[1], parts[2]
		}
	case "LOGIN":
		user = decode(initial)
		ok := true
		if !given {
			user, ok = ask("Username:")
		}
		if ok {
			password, ok = ask("Password:")
		}
		if !ok {
			return false
		}
	default:
		s.say("504 Unrecognized authentication type")
		return true
	}
	if subtle.ConstantTimeCompare([]byte(user+"\x00"+password), []byte(s.user+"\x00"+s.password)) != 1 {
		s.log.Warn().Msg("who wants to send an alert is not monit")
		s.say("535 Authentication failed")
		return false
	}
	s.known = true
	s.say("235 OK")
	return true
}

func decode(text string) string {
	raw, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return ""
	}
	return string(raw)
}

func (s *session) data() bool {
	s.say("354 Start mail input; end with <CRLF>.<CRLF>")
	var text strings.Builder
	for {
		line, err := s.line()
		if err != nil {
			return false
		}
		if line == "." {
			break
		}
		if text.Len()+len(line) > maxMail {
			s.say("552 Message too large")
			return false
		}
		text.WriteString(strings.TrimPrefix(line, "."))
		text.WriteByte('\n')
	}
	s.from, s.to = false, false
	s.took(ParseMail(text.String()))
	s.say("250 Message accepted")
	return true
}

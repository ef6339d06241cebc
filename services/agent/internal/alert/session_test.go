package alert

import (
	"context"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/rs/zerolog"
)

// Whatever a sender says, only who knows the password is heard, with no more
// than a mail's worth, and the session ends with the connection.
func FuzzSession(f *testing.F) {
	const login = "AUTH PLAIN AHZjYXAAcHc=\r\n"
	f.Add([]byte("EHLO x\r\n" + login + "MAIL FROM:<a>\r\nRCPT TO:<b>\r\nDATA\r\nService: web\r\n..\r\n.\r\nQUIT\r\n"))
	f.Add([]byte("AUTH LOGIN\r\ndmNhcA==\r\ncHc=\r\nMAIL\r\nRCPT\r\nDATA\r\n.\r\n"))
	f.Add([]byte("MAIL FROM:<a>\r\nRCPT TO:<b>\r\nDATA\r\n.\r\n"))
	f.Add([]byte(strings.Repeat("x", 3*maxLine)))
	f.Fuzz(func(t *testing.T, words []byte) {
		mails := 0
		r := &Receiver{user: "vcap", password: "pw", took: func(Mail) { mails++ }, log: zerolog.Nop()}
		ours, theirs := net.Pipe()
		go func() {
			_, _ = theirs.Write(words)
			_ = theirs.Close()
		}()
		go func() { _, _ = io.Copy(io.Discard, theirs) }()
		r.serve(ours)
		_ = ours.Close()
		if mails > 0 && !strings.Contains(strings.ToUpper(string(words)), "AUTH") {
			t.Errorf("%d mails of somebody who did not log in", mails)
		}
	})
}

func FuzzLogin(f *testing.F) {
	f.Add("<86>Nov 28 10:00:00 vm sshd[12]: Accepted publickey for vcap from 10.0.0.1 port 22 ssh2")
	f.Add("sshd: Received disconnect from 10.0.0.1: 11: disconnected by user")
	f.Add("sshd\xff: ")
	f.Fuzz(func(t *testing.T, line string) {
		title, summary, ok := Login(line)
		if ok != (title != "") || ok != (summary != "") || len(summary) > 3*len(line) {
			t.Errorf("got %q %q %v", title, summary, ok)
		}
	})
}

// Whoever connects and says nothing sensible leaves the next one heard.
func TestGarbageLeavesTheReceiverServing(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(context.Background())
	mails := make(chan Mail, 1)
	r, err := Listen(ctx, 0, "vcap", "pw", func(m Mail) { mails <- m }, zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx) }()
	say := func(words string) string {
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", r.listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		_, _ = io.WriteString(conn, words)
		_ = conn.(*net.TCPConn).CloseWrite()
		answer, _ := io.ReadAll(conn)
		return string(answer)
	}
	for _, words := range []string{"", "\x00\xff\r\n", "GET / HTTP/1.1\r\n\r\n", strings.Repeat("a", 2*maxLine), "AUTH PLAIN !!!\r\n", "DATA\r\n", "AUTH\r\nAUTH CRAM-MD5\r\n"} {
		if got := say(words); strings.Contains(got, "235 ") || strings.Contains(got, "354 ") {
			t.Errorf("%.20q is answered %q", words, got)
		}
	}
	if got := say("AUTH PLAIN AHZjYXAAcHc=\r\nMAIL\r\nRCPT\r\nDATA\r\nService: web\r\n.\r\n"); !strings.Contains(got, "250 Message accepted") {
		t.Errorf("got %q", got)
	}
	if m := <-mails; m.What.Service != "web" {
		t.Errorf("got %+v", m)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

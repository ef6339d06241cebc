package alert_test

import (
	"bufio"
	"context"
	"encoding/base64"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/microbosh/microbosh/services/agent/internal/alert"
)

const monitsMail = "Date: Mon, 02 Jan 2006 15:04:05 GMT\r\nMessage-Id: <1304319946.0@localhost>\r\nSubject: Monit Alert\r\n\r\n" +
	"Service: nats\r\nEvent: does not exist\r\nAction: restart\r\nDate: Sun, 22 May 2011 20:07:41 +0500\r\nDescription: process is not running: really\r\n.\r\n"

func receive(t *testing.T) (addr string, mails chan alert.Mail) {
	t.Helper()
	mails = make(chan alert.Mail, 10)
	r, err := alert.Listen(t.Context(), 0, "vcap", "secret", func(m alert.Mail) { mails <- m }, zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return fmt.Sprintf("127.0.0.1:%d", r.Port()), mails
}

// talk sends lines and wants the codes of the answers.
func talk(t *testing.T, addr string, steps ...[2]string) {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	in := bufio.NewReader(conn)
	answer := func() string {
		for {
			line, err := in.ReadString('\n')
			if err != nil || len(line) < 4 || line[3] != '-' {
				return line
			}
		}
	}
	if got := answer(); got != "220 BOSH Agent SMTP Server\r\n" {
		t.Errorf("greeted with %q", got)
	}
	for _, s := range steps {
		if _, err := conn.Write([]byte(s[0])); err != nil {
			t.Fatal(err)
		}
		if got := answer(); !strings.HasPrefix(got, s[1]) {
			t.Errorf("%.40q got %q, want %s", s[0], got, s[1])
		}
	}
}

func plain(user, password string) string {
	return "AUTH PLAIN " + base64.StdEncoding.EncodeToString([]byte("\x00"+user+"\x00"+password)) + "\r\n"
}

func TestReceiver(t *testing.T) {
	t.Parallel()
	addr, mails := receive(t)
	text := base64.StdEncoding.EncodeToString
	talk(t, addr, [2]string{"EHLO x\r\n", "250"}, [2]string{"MAIL FROM:<a@b>\r\n", "530"}, [2]string{plain("vcap", "secret"), "235"},
		[2]string{"DATA\r\n", "503"}, [2]string{"MAIL FROM:<a@b>\r\n", "250"}, [2]string{"RCPT TO:<a@b>\r\n", "250"},
		[2]string{"DATA\r\n", "354"}, [2]string{monitsMail, "250"}, [2]string{"QUIT\r\n", "221"})
	m := <-mails
	if m.ID != "1304319946.0" || m.What.Service != "nats" || m.What.Event != "does not exist" || m.What.Action != "restart" ||
		m.What.Summary != "process is not running: really" || m.At.Unix() != 1306076861 {
		t.Errorf("got %+v", m)
	}
	talk(t, addr, [2]string{"AUTH LOGIN\r\n", "334"}, [2]string{text([]byte("vcap")) + "\r\n", "334"}, [2]string{text([]byte("secret")) + "\r\n", "235"})
	talk(t, addr, [2]string{plain("vcap", "wrong"), "535"})
	talk(t, addr, [2]string{strings.Repeat("x", 5000) + "\r\n", "500"})
	talk(t, addr, [2]string{plain("vcap", "secret"), "235"}, [2]string{"MAIL FROM:<a@b>\r\n", "250"}, [2]string{"RCPT TO:<a@b>\r\n", "250"},
		[2]string{"DATA\r\n", "354"}, [2]string{strings.Repeat(strings.Repeat("y", 1000)+"\r\n", 1100), "552"})
	if len(mails) > 0 {
		t.Error("a mail was taken from whom it must not")
	}
}

func TestLogins(t *testing.T) {
	t.Parallel()
	heard := make(chan string, 10)
	l, err := alert.ListenForLogins(t.Context(), 0, func(title, summary string) { heard <- title + "|" + summary })
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- l.Run(ctx) }()
	conn, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	_, err = conn.Write([]byte("<38>Aug  3 10:00:00 host sshd[1234]: Accepted publickey for vcap from 10.0.0.1 port 1 ssh2\n" +
		"<38>Aug  3 10:00:00 host sudo: something\n" +
		"<38>Aug  3 10:00:00 host sshd[1234]: Received disconnect from 10.0.0.1: 11: disconnected by user\n"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"SSH Login|Accepted publickey for vcap from 10.0.0.1 port 1 ssh2",
		"SSH Logout|Received disconnect from 10.0.0.1: 11: disconnected by user",
	} {
		select {
		case got := <-heard:
			if got != want {
				t.Errorf("got %q, want %q", got, want)
			}
		case <-time.After(30 * time.Second):
			t.Fatal("nothing heard")
		}
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if a := alert.OfLogin("i", time.Unix(5, 0), "SSH Login", "x"); a.Severity != 4 || a.CreatedAt != 5 {
		t.Errorf("got %+v", a)
	}
}

func FuzzParseMail(f *testing.F) {
	f.Add(monitsMail)
	f.Fuzz(func(t *testing.T, text string) {
		if m := alert.ParseMail(text); strings.ContainsRune(m.What.Service, '\n') {
			t.Errorf("got %+v", m)
		}
		_, _, _ = alert.Login(text)
	})
}

package steps

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/microbosh/microbosh/pkg/messages"
)

// Who waits for a VM in vain is told why it was not reached: at once when it
// takes longer than usual, and in the error.
func TestWhyAVMIsNotReached(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil { // nobody listens there now
		t.Fatal(err)
	}
	h, err := newHTTPS("https://u:p@0.0.0.0:"+port, "127.0.0.1", "director")
	if err != nil {
		t.Fatal(err)
	}
	defer h.close()
	limited, stop := context.WithTimeout(t.Context(), 2*quiet) // what a step may take
	defer stop()
	var told []string
	h.tell = func(why string) { told = append(told, why) }
	_, err = h.send(limited, messages.AgentRequest{Method: "ping"})
	err = agentError("ping", "agent-1", err)
	if messages.CodeOf(err) != messages.CodeAgentTimeout || !strings.Contains(err.Error(), "(ping to agent-1: connection refused)") {
		t.Errorf("got %v", err)
	}
	if len(told) != 1 || told[0] != "connection refused" {
		t.Errorf("told %q, want the reason once", told)
	}
}

func TestReasons(t *testing.T) {
	t.Parallel()
	_, timeout := (&net.Dialer{Deadline: time.Now().Add(-time.Second)}).Dial("tcp", "127.0.0.1:1")
	for want, err := range map[string]error{
		"nothing comes back": timeout, "": errors.New("x"),
	} {
		if got := reason(err); got != want {
			t.Errorf("%v: %q, want %q", err, got, want)
		}
	}
}

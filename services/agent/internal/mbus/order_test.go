package mbus_test

import (
	"context"
	"runtime"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/microbosh/microbosh/pkg/messages"
	"github.com/microbosh/microbosh/services/agent/internal/mbus"
)

// line is a bus with one listener, which gives out what is published in the
// order in which it comes.
type line struct {
	handler   func([]byte)
	published chan []byte
}

func (l *line) Publish(_ string, data []byte) error {
	runtime.Gosched() // whoever waits may overtake
	l.published <- data
	return nil
}

func (l *line) Flush(context.Context) error { return nil }

func (l *line) Subscribe(_ context.Context, _ string, handler func([]byte)) (func(), error) {
	l.handler = handler
	return func() {}, nil
}

// Whoever asked drops an encrypted answer whose number is below the last one's,
// so answers given at the same time are published in their numbers' order.
func TestEncryptedAnswersKeepTheirOrder(t *testing.T) {
	t.Parallel()
	const requests, agent = 200, "bm-1"
	keys := mbus.Credentials{CryptKey: "crypt", SignKey: "sign"}
	crypt, err := mbus.NewCrypt(keys, agent)
	if err != nil {
		t.Fatal(err)
	}
	bus := &line{published: make(chan []byte, requests)}
	n, err := mbus.NewNATS(mbus.NATSOptions{Bus: bus, AgentID: agent, Dispatcher: echo{}, Crypt: crypt, Log: zerolog.Nop()})
	if err != nil {
		t.Fatal(err)
	}
	peer, err := mbus.NewPeer(keys, "director", "session-1")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ready, ended := make(chan struct{}), make(chan error, 1)
	go func() { ended <- n.Run(ctx, func() { close(ready) }) }()
	<-ready
	for range requests {
		request, err := peer.Seal(messages.ReplySubject("director", agent, "1"), []byte(`{"method":"ping","arguments":[]}`))
		if err != nil {
			t.Fatal(err)
		}
		bus.handler(request)
	}
	for i := range requests {
		select {
		case body := <-bus.published:
			if _, err := peer.Open(body); err != nil {
				t.Fatalf("answer %d: %v", i, err)
			}
		case <-time.After(time.Minute):
			t.Fatalf("%d of %d answers came", i, requests)
		}
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

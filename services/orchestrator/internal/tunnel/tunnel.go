package tunnel

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/microbosh/microbosh/pkg/messages"
	"github.com/microbosh/microbosh/pkg/poll"
)

const (
	maxOpen  = 16               // connections at once: a VM asks for one document at a time
	beat     = 15 * time.Second // a VM that is gone closes no connection
	patience = 10 * time.Second
)

// Tunnel is one that is being kept open.
type Tunnel struct {
	o       Options
	trusted ssh.PublicKey
	end     context.CancelCauseFunc
	ctx     context.Context // ends with Close, or with the refusal as its cause
	done    sync.WaitGroup
}

// Open begins to keep a tunnel to the VM with that host key.
func Open(o Options) (*Tunnel, error) {
	key, _, _, _, err := ssh.ParseAuthorizedKey([]byte(o.HostKey))
	if err != nil {
		return nil, messages.Errorf(messages.CodeStateInvalid, "the recorded host key of %s cannot be read", o.Address)
	}
	if err := CheckKey([]byte(o.Key)); err != nil {
		return nil, err
	}
	t := &Tunnel{o: o, trusted: key}
	t.ctx, t.end = context.WithCancelCause(context.Background())
	t.done.Go(t.keep)
	return t, nil
}

// Close ends it and waits until nothing of it is left.
func (t *Tunnel) Close() {
	t.end(nil)
	t.done.Wait()
}

// Refused calls f with the reason once the tunnel is refused for good, at once
// when it is already; the returned function ends that.
func (t *Tunnel) Refused(f func(error)) (stop func() bool) {
	return context.AfterFunc(t.ctx, func() {
		if cause := context.Cause(t.ctx); !errors.Is(cause, context.Canceled) {
			f(cause)
		}
	})
}

// keep opens the tunnel again and again.
func (t *Tunnel) keep() {
	for pause := shortest; t.ctx.Err() == nil; pause = min(2*pause, longest) {
		client, err := connect(t.ctx, t.o, preferring(t.trusted), t.check)
		if err == nil {
			pause = shortest
			err = t.serve(client)
			client.Close()
		}
		if t.ctx.Err() != nil {
			return
		}
		t.o.tell(err)
		_ = poll.Pause(t.ctx, pause)
	}
}

// check refuses any host key but the first.
func (t *Tunnel) check(_ string, _ net.Addr, key ssh.PublicKey) error {
	if bytes.Equal(key.Marshal(), t.trusted.Marshal()) {
		return nil
	}
	err := messages.Errorf(messages.CodeHostKeyChanged, "the VM at %s shows another SSH host key (%s) than at first (%s): it is another machine, or somebody is in between",
		t.o.Address, ssh.FingerprintSHA256(key), ssh.FingerprintSHA256(t.trusted)).
		WithHint("find out who answers at that address; if the VM may go, make it anew with `microbosh deploy STEMCELL --update --recreate`")
	t.end(err)
	return err
}

// serve carries what the VM sends to its port, until the connection ends.
func (t *Tunnel) serve(client *ssh.Client) error {
	port := fmt.Sprintf("127.0.0.1:%d", t.o.Port)
	l, err := client.Listen("tcp", port)
	if err != nil {
		return fmt.Errorf("cannot listen on %s in the VM: %w", port, err)
	}
	if t.o.Opened != nil {
		t.o.Opened()
	}
	ctx, cancel := context.WithCancel(t.ctx)
	var open sync.WaitGroup
	defer open.Wait()
	defer cancel()
	stop := context.AfterFunc(ctx, func() { client.Close() })
	defer stop()
	open.Go(func() { alive(ctx, client) })
	slots := make(chan struct{}, maxOpen)
	for {
		conn, err := l.Accept()
		if err != nil {
			return fmt.Errorf("the SSH connection to %s broke: %w", t.o.Address, err)
		}
		select {
		case slots <- struct{}{}:
			open.Go(func() {
				defer func() { <-slots }()
				t.carry(ctx, conn)
			})
		default:
			conn.Close()
		}
	}
}

// alive closes a connection at whose other end nobody answers.
func alive(ctx context.Context, client *ssh.Client) {
	for poll.Pause(ctx, beat) == nil {
		late := time.AfterFunc(patience, func() { client.Close() })
		_, _, err := client.SendRequest("keepalive@openssh.com", true, nil)
		late.Stop()
		if err != nil {
			return
		}
	}
}

// carry joins one connection with a new one to the registry.
func (t *Tunnel) carry(ctx context.Context, vm net.Conn) {
	defer vm.Close()
	registry, err := t.o.Registry(ctx)
	if err != nil {
		t.o.tell(err)
		return
	}
	defer registry.Close()
	stop := context.AfterFunc(ctx, func() { registry.Close(); vm.Close() })
	defer stop()
	var ways sync.WaitGroup
	for _, way := range [][2]net.Conn{{registry, vm}, {vm, registry}} {
		ways.Go(func() {
			_, _ = io.Copy(way[0], way[1])
			if half, ok := way[0].(interface{ CloseWrite() error }); ok {
				_ = half.CloseWrite()
			} else {
				way[0].Close()
			}
		})
	}
	ways.Wait()
}

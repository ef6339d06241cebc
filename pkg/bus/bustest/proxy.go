package bustest

import (
	"bufio"
	"io"
	"net"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// Message is one message seen by a Proxy.
type Message struct {
	Subject    string
	Reply      string
	FromClient bool // else to the client
	N          int  // how many of its direction and subject there were, this one included
}

// Action is what a Proxy does with a message.
type Action int

// The actions.
const (
	Pass     Action = iota
	Drop            // swallow the message, keep the connection
	Cut             // close the connection instead
	CutAfter        // pass the message, then close the connection
)

// Proxy is a TCP proxy before a bus that understands enough of the protocol to
// see single messages.
type Proxy struct {
	t      testing.TB
	target string
	l      net.Listener
	group  sync.WaitGroup

	mu     sync.Mutex
	conns  map[net.Conn]struct{} // guarded by mu
	down   bool                  // guarded by mu
	delay  time.Duration         // guarded by mu
	hook   func(Message) Action  // guarded by mu
	counts map[countKey]int      // guarded by mu
}

type countKey struct {
	subject    string
	fromClient bool
}

// NewProxy runs a proxy before the bus at target, for the length of the test.
func NewProxy(t testing.TB, target string) *Proxy {
	t.Helper()
	u, err := url.Parse(target)
	if err != nil {
		t.Fatalf("cannot read %s: %v", target, err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("cannot listen: %v", err)
	}
	p := &Proxy{t: t, target: u.Host, l: l, conns: map[net.Conn]struct{}{}, counts: map[countKey]int{}}
	p.group.Go(p.accept)
	t.Cleanup(func() {
		_ = l.Close()
		p.Sever()
		p.group.Wait()
	})
	return p
}

// URL is the proxy's address.
func (p *Proxy) URL() string { return "nats://" + p.l.Addr().String() }

// Hook has f decide about every message from now on; nil passes all. f must not
// call the proxy's methods but Count.
func (p *Proxy) Hook(f func(Message) Action) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.hook = f
}

// Delay holds up everything by d from now on, in both directions.
func (p *Proxy) Delay(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.delay = d
}

// Count tells how many messages on subject went that way.
func (p *Proxy) Count(subject string, fromClient bool) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.counts[countKey{subject, fromClient}]
}

// Sever closes all connections; new ones are welcome.
func (p *Proxy) Sever() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		_ = c.Close()
	}
}

// Down closes all connections and refuses new ones until Up.
func (p *Proxy) Down() {
	p.mu.Lock()
	p.down = true
	p.mu.Unlock()
	p.Sever()
}

// Up ends Down.
func (p *Proxy) Up() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.down = false
}

func (p *Proxy) accept() {
	for {
		client, err := p.l.Accept()
		if err != nil {
			return
		}
		if !p.keep(client) {
			continue
		}
		server, err := net.Dial("tcp", p.target)
		if err != nil {
			p.lose(client)
			continue
		}
		p.keep(server)
		end := sync.OnceFunc(func() { p.lose(client); p.lose(server) })
		p.group.Go(func() { defer end(); p.pump(server, client, true) })
		p.group.Go(func() { defer end(); p.pump(client, server, false) })
	}
}

func (p *Proxy) keep(c net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.down {
		_ = c.Close()
		return false
	}
	p.conns[c] = struct{}{}
	return true
}

func (p *Proxy) lose(c net.Conn) {
	_ = c.Close()
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.conns, c)
}

// pump copies frames until an end closes.
func (p *Proxy) pump(dst io.Writer, src io.Reader, fromClient bool) {
	r := bufio.NewReaderSize(src, 64*1024)
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		frame := []byte(line)
		action := Pass
		if m, size, ok := parse(line); ok {
			body := make([]byte, size+2)
			if _, err := io.ReadFull(r, body); err != nil {
				return
			}
			frame = append(frame, body...)
			m.FromClient = fromClient
			action = p.decide(m)
		}
		p.wait()
		switch action {
		case Cut:
			return
		case Drop:
			continue
		case Pass, CutAfter:
		}
		if _, err := dst.Write(frame); err != nil || action == CutAfter {
			return
		}
	}
}

func (p *Proxy) decide(m Message) Action {
	p.mu.Lock()
	key := countKey{m.Subject, m.FromClient}
	p.counts[key]++
	m.N = p.counts[key]
	hook := p.hook
	p.mu.Unlock()
	if hook == nil {
		return Pass
	}
	return hook(m)
}

func (p *Proxy) wait() {
	p.mu.Lock()
	d := p.delay
	p.mu.Unlock()
	if d > 0 {
		<-time.After(d)
	}
}

// parse reads the line of a message: PUB, HPUB, MSG or HMSG.
func parse(line string) (m Message, size int, ok bool) {
	f := strings.Fields(line)
	if len(f) < 3 {
		return m, 0, false
	}
	fixed := 0 // fields besides reply
	switch strings.ToUpper(f[0]) {
	case "PUB":
		fixed = 3
	case "HPUB", "MSG":
		fixed = 4
	case "HMSG":
		fixed = 5
	default:
		return m, 0, false
	}
	size, err := strconv.Atoi(f[len(f)-1])
	if err != nil || size < 0 || len(f) < fixed {
		return m, 0, false
	}
	m.Subject = f[1]
	if len(f) > fixed {
		m.Reply = f[2]
		if f[0][0] == 'M' || strings.HasPrefix(f[0], "HM") {
			m.Reply = f[3]
		}
	}
	return m, size, true
}

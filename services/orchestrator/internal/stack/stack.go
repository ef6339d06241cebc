package stack

import (
	"context"
	"fmt"
	"hash/fnv"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"

	"github.com/microbosh/microbosh/pkg/bus/embed"
	"github.com/microbosh/microbosh/pkg/messages"
)

// joinFor is how long the process that won the folder may take to have its bus
// up, as seen by one that lost.
const joinFor = 20 * time.Second

// Options say what to run and where.
type Options struct {
	Dir      string // the state folder, made when missing
	Programs string // folder of the programs; default: this executable's

	Host    string // where bus and registry listen, default 127.0.0.1
	BusPort int    // 0 = the one of the last start, else a free one

	Wait time.Duration // for the bus of who holds the folder, default 20s

	BusOnly bool   // nothing that could go on with a run: for commands that only look
	Queries bool   // with BusOnly: also a CPI that answers questions and does nothing
	Settle  string // the CPI's --settle; "" = its default
	Cloud   bool   // also devcloud, in <Dir>/devcloud

	Log zerolog.Logger // what happens to the children
}

// Stack is a set of running children, or the bus of another process's set.
type Stack struct {
	o      Options
	dir    string
	cancel context.CancelFunc // ends heir
	heired chan struct{}      // closed when heir has ended

	mu       sync.Mutex
	url      string   // guarded by mu
	owned    bool     // guarded by mu
	cloud    string   // guarded by mu
	lock     *os.File // guarded by mu
	children []*child // guarded by mu
}

// Programs is the folder that this executable and its fellows are in.
func Programs() (string, error) {
	exe, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("cannot find the programs: %w", err)
	}
	return filepath.Dir(exe), nil
}

// Start runs the children and returns when all of them are ready. When another
// process already runs the folder's bus, that one is joined: Owned tells. When
// that process ends first, its stack is inherited: the children are started
// again here, at the same address.
func Start(ctx context.Context, o Options) (*Stack, error) {
	dir, err := filepath.Abs(o.Dir)
	if err != nil {
		return nil, fmt.Errorf("cannot name the state folder: %w", err)
	}
	if err := os.MkdirAll(filepath.Join(dir, "log"), 0o700); err != nil {
		return nil, fmt.Errorf("cannot make the state folder: %w", err)
	}
	if o.Programs == "" {
		if o.Programs, err = Programs(); err != nil {
			return nil, err
		}
	}
	if o.Wait <= 0 {
		o.Wait = joinFor
	}
	if o.Host == "" {
		o.Host = "127.0.0.1"
	}
	s := &Stack{o: o, dir: dir, heired: make(chan struct{})}
	supervised, err := s.acquire(ctx)
	if err != nil {
		return nil, err
	}
	heirCtx, cancel := context.WithCancel(context.Background())
	s.cancel = cancel
	if supervised {
		go s.heir(heirCtx)
		return s, nil
	}
	close(s.heired)
	if !s.owned {
		return s, nil
	}
	if err := s.run(ctx); err != nil {
		s.Stop()
		return nil, err
	}
	return s, nil
}

// Join returns the bus of a folder when one runs there, without starting
// anything; nil when none does.
func Join(dir string) *Stack {
	url, err := embed.ReadAddress(dir)
	if err != nil || !busLocked(dir) {
		return nil
	}
	s := &Stack{dir: dir, url: url, cancel: func() {}, heired: make(chan struct{})}
	close(s.heired)
	return s
}

// heir waits for the supervisor to end and takes its place.
func (s *Stack) heir(ctx context.Context) {
	defer close(s.heired)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		lock, err := tryLock(s.dir)
		if err != nil || lock == nil {
			continue
		}
		s.mu.Lock()
		s.lock, s.owned = lock, true
		s.mu.Unlock()
		if err := s.run(ctx); err != nil && ctx.Err() == nil {
			s.o.Log.Error().Err(err).Msg("cannot take over from the command that ended")
		}
		return
	}
}

// acquire wins the folder or finds the bus of who has it. The kernel frees the
// lock of a process that died, so one of both comes true; there is no event for
// "whichever first", hence the ticker.
func (s *Stack) acquire(ctx context.Context) (supervised bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, s.o.Wait)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for unsupervised := 0; ; {
		lock, err := tryLock(s.dir)
		if err != nil {
			return false, err
		}
		url, err := embed.ReadAddress(s.dir)
		lives := err == nil && busLocked(s.dir)
		switch {
		case lock == nil && lives:
			s.url = url
			return true, nil
		case lock != nil && !lives:
			s.lock, s.owned = lock, true
			return false, nil
		case lock != nil:
			// A bus without a supervisor: a service that stays, or the last moments
			// of one whose supervisor was killed.
			_ = lock.Close()
			if unsupervised++; unsupervised > 10 {
				s.url = url
				return false, nil
			}
		}
		select {
		case <-ctx.Done():
			return false, messages.Errorf(messages.CodeStateLocked, "the state folder %s is in use, and no bus appears there", s.dir).
				WithHint("another command may be starting or ending: try again; `fuser -v %s` names it", filepath.Join(s.dir, "stack.lock"))
		case <-tick.C:
		}
	}
}

func (s *Stack) run(ctx context.Context) error {
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("cannot find this program: %w", err)
	}
	busArgs := []string{"bus", "--dir", s.dir, "--host", s.o.Host}
	if s.o.BusPort != 0 {
		busArgs = append(busArgs, "--port", strconv.Itoa(s.o.BusPort))
	}
	if err := s.add(ctx, program{name: "bus", path: self, args: busArgs}); err != nil {
		return err
	}
	url, err := embed.ReadAddress(s.dir)
	if err != nil {
		return err
	}
	s.mu.Lock()
	s.url = url
	s.mu.Unlock()
	cpi := filepath.Join(s.o.Programs, "microbosh-cpi-openstack")
	switch {
	case s.o.BusOnly && s.o.Queries:
		return s.add(ctx, program{name: "cpi-openstack", path: cpi, args: []string{"--only-queries", "--bus", url, "--keys", s.Keys()}})
	case s.o.BusOnly:
		return nil
	}
	registry, err := rememberedPort(s.dir, "registry", s.o.Host)
	if err != nil {
		return err
	}
	parts := s.parts(self, url, registry)
	if s.o.Cloud {
		cloud, err := s.devcloud()
		if err != nil {
			return err
		}
		parts = append(parts, cloud)
	}
	return s.add(ctx, parts...)
}

// parts are the programs that need a bus.
func (s *Stack) parts(self, url, registry string) []program {
	on := func(more ...string) []string { return append(more, "--bus", url, "--keys", s.Keys()) }
	cpi := on()
	switch {
	case s.o.Settle != "":
		cpi = on("--settle", s.o.Settle)
	case s.o.Cloud:
		cpi = on("--settle", "1s") // devcloud shows at once what it made
	}
	return []program{
		{name: "orchestrator", path: self, args: on("serve")},
		{name: "registry", path: filepath.Join(s.o.Programs, "microbosh-registry"), args: on("--listen", registry)},
		{name: "cpi-openstack", path: filepath.Join(s.o.Programs, "microbosh-cpi-openstack"), args: cpi},
	}
}

// devcloud is the cloud of this folder: always at the same address and with the
// same password, because the manifest beside the folder names both.
func (s *Stack) devcloud() (program, error) {
	dir := filepath.Join(s.dir, "devcloud")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return program{}, fmt.Errorf("cannot make the cloud's folder: %w", err)
	}
	listen, err := rememberedPort(s.dir, "devcloud", "127.0.0.1")
	if err != nil {
		return program{}, err
	}
	s.mu.Lock()
	s.cloud = dir
	s.mu.Unlock()
	return program{name: "devcloud", path: filepath.Join(s.o.Programs, "devcloud"), args: []string{
		"--dir", dir, "--listen", listen, "--password-file", filepath.Join(dir, "password"), "--subnet", subnet(s.dir),
	}}, nil
}

// subnet gives each folder's cloud loopback addresses of its own, so that two
// on one machine do not meet. 127.0 to 127.31 are left to others.
func subnet(dir string) string {
	h := fnv.New32a()
	_, _ = h.Write([]byte(dir))
	return fmt.Sprintf("127.%d.0.0/16", 32+h.Sum32()%220)
}

// add starts programs and returns when all are ready.
func (s *Stack) add(ctx context.Context, programs ...program) error {
	for _, p := range programs {
		if _, err := os.Stat(p.path); err != nil {
			return messages.Errorf(messages.CodeNoService, "cannot run %s: %w", p.name, err).
				WithHint("the programs of microbosh belong into one folder; `make build` puts them into bin/")
		}
	}
	wait, ctx := errgroup.WithContext(ctx)
	for _, p := range programs {
		c := launch(p, filepath.Join(s.dir, "log"), s.o.Log)
		s.mu.Lock()
		s.children = append(s.children, c)
		s.mu.Unlock()
		wait.Go(func() error { return c.waitReady(ctx) })
	}
	return wait.Wait()
}

// Stop ends the children of an owned stack, the bus last, and returns when they
// are gone.
func (s *Stack) Stop() {
	s.cancel()
	<-s.heired
	s.mu.Lock()
	children, lock := s.children, s.lock
	s.mu.Unlock()
	for _, c := range children[min(1, len(children)):] {
		c.cancel()
	}
	for i := len(children) - 1; i >= 0; i-- {
		children[i].stop()
	}
	if lock != nil {
		_ = lock.Close()
	}
}

// Owned tells whether this process runs the stack and ends it.
func (s *Stack) Owned() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.owned
}

// URL is where the bus is.
func (s *Stack) URL() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.url
}

// Keys is the folder of the roles' keys.
func (s *Stack) Keys() string { return filepath.Join(s.dir, "keys") }

// CloudDir is devcloud's folder, "" without one.
func (s *Stack) CloudDir() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.cloud
}

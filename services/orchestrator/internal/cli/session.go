package cli

import (
	"context"
	"os"
	"path/filepath"
	"time"

	"github.com/rs/zerolog"

	"github.com/microbosh/microbosh/pkg/bus"
	"github.com/microbosh/microbosh/pkg/messages"
	"github.com/microbosh/microbosh/services/orchestrator/internal/stack"
	"github.com/microbosh/microbosh/services/orchestrator/internal/statefile"
)

// session is a connection to the bus, with the stack behind it when this
// command runs one.
type session struct {
	conn  *bus.Conn
	keys  string
	stack *stack.Stack // nil: the bus is somebody else's
}

// open connects to the bus that --bus names, else to the one in the state
// folder, which is started when none runs there. A command that only looks
// starts nothing that could go on with an interrupted run.
func (a *app) open(ctx context.Context, folder string, looks bool) (*session, error) {
	return a.openStack(ctx, stack.Options{Dir: folder, BusOnly: looks})
}

// openAsking is open for a command that only looks, but in the cloud, too.
func (a *app) openAsking(ctx context.Context, folder string) (*session, error) {
	return a.openStack(ctx, stack.Options{Dir: folder, BusOnly: true, Queries: true})
}

func (a *app) openStack(ctx context.Context, o stack.Options) (*session, error) {
	if a.bus != "" {
		if a.keys == "" {
			return nil, usage("--bus needs --keys: the folder with this person's keys for it")
		}
		conn, err := a.connect(ctx, a.bus, a.keys)
		if err != nil {
			return nil, err
		}
		return &session{conn: conn, keys: a.keys}, nil
	}
	o.Host, o.Settle, o.Wait, o.Log = a.host, a.getenv("MICROBOSH_SETTLE"), a.wait, a.stackLog()
	st, err := stack.Start(ctx, o)
	if err != nil {
		return nil, interruptedOr(ctx, err)
	}
	conn, err := a.connect(ctx, st.URL(), st.Keys())
	if err != nil {
		st.Stop()
		return nil, interruptedOr(ctx, err)
	}
	return &session{conn: conn, keys: st.Keys(), stack: st}, nil
}

func (a *app) connect(ctx context.Context, url, keys string) (*bus.Conn, error) {
	return bus.Connect(ctx, bus.Options{
		URL: url, Name: "microbosh", Wait: a.wait, SeedFile: filepath.Join(keys, messages.RoleCLI+".nk"),
		InboxPrefix: messages.InboxPrefix(messages.RoleCLI),
	})
}

// alone tells whether everything ends with this command.
func (s *session) alone() bool { return s.stack != nil && s.stack.Owned() }

func (s *session) close() {
	s.conn.Close()
	if s.stack != nil {
		s.stack.Stop()
	}
}

// restartFor is how long a service may be away before a person is told so: as
// long as one takes that is just started again.
const restartFor = 3 * time.Second

// call asks a micro service. One that is just starting gets a moment.
func (s *session) call(ctx context.Context, subject string, request, reply any) error {
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	began := time.Now()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		err := s.conn.Call(ctx, subject, request, reply)
		if messages.CodeOf(err) != messages.CodeNoService || (s.stack == nil && time.Since(began) > restartFor) {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-tick.C:
		}
	}
}

// stackLog tells about children that had to be started again.
func (a *app) stackLog() zerolog.Logger {
	if a.ui.JSON {
		return zerolog.New(os.Stderr).Level(zerolog.WarnLevel).With().Timestamp().Logger()
	}
	return zerolog.New(zerolog.ConsoleWriter{
		Out: a.ui.Err, NoColor: !a.ui.Colour, PartsOrder: []string{zerolog.MessageFieldName},
	}).Level(zerolog.WarnLevel)
}

// folder is the state folder beside a manifest.
func folder(manifest string) string {
	return filepath.Join(filepath.Dir(manifest), statefile.FolderName)
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// interruptedOr gives the interruption when there was one, else err.
func interruptedOr(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return messages.Errorf(messages.CodeInterrupted, "interrupted")
	}
	return err
}

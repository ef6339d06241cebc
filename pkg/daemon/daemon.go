package daemon

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"github.com/rs/zerolog"
	"golang.org/x/term"

	"github.com/microbosh/microbosh/pkg/messages"
)

// LevelVariable names the environment variable with the log level.
const LevelVariable = "MICROBOSH_LOG"

// Main runs a program until it ends or is told to: SIGINT and SIGTERM end ctx, and
// run ends what it started in its own order; a second signal ends the process at
// once. It returns the exit code: 0 also when run ends because ctx did.
func Main(name string, run func(ctx context.Context, log zerolog.Logger) error) int {
	log := Logger(os.Stderr, name)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	defer signal.Stop(signals)
	finished := make(chan struct{})
	defer close(finished)
	go func() {
		for stopping := false; ; stopping = true {
			select {
			case s := <-signals:
				if stopping {
					os.Exit(exitCode(s))
				}
				log.Info().Str("signal", s.String()).Msg("stopping")
				tell(log, daemon.SdNotifyStopping) // first: the process may end with ctx
				cancel()
			case <-finished:
				return
			}
		}
	}()
	err := run(ctx, log)
	if err != nil && !(ctx.Err() != nil && errors.Is(err, context.Canceled)) {
		e := messages.AsError(err)
		event := log.Error().AnErr("err", err).Str("code", string(e.Code))
		if e.Hint != "" {
			event = event.Str("hint", e.Hint)
		}
		event.Msg("ended")
		return 1
	}
	return 0
}

// exitCode is the shell's for a signal: 130 for Ctrl-C.
func exitCode(s os.Signal) int {
	if n, ok := s.(syscall.Signal); ok {
		return 128 + int(n)
	}
	return 1
}

// Logger writes to w: for people when it is a terminal, else JSON lines. The
// level is MICROBOSH_LOG's, info without it.
func Logger(w io.Writer, name string) zerolog.Logger {
	level, err := zerolog.ParseLevel(os.Getenv(LevelVariable))
	if err != nil || os.Getenv(LevelVariable) == "" {
		level = zerolog.InfoLevel
	}
	if f, ok := w.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		w = zerolog.ConsoleWriter{Out: w, TimeFormat: time.TimeOnly, NoColor: os.Getenv("NO_COLOR") != ""}
	}
	return zerolog.New(w).Level(level).Hook(zerolog.HookFunc(stamp)).With().Str("program", name).Logger()
}

// stamp is the time in UTC and milliseconds. zerolog's own takes its form from
// a global, which a package has no business to set.
func stamp(e *zerolog.Event, _ zerolog.Level, _ string) {
	e.Str(zerolog.TimestampFieldName, time.Now().UTC().Format("2006-01-02T15:04:05.000Z07:00"))
}

// Ready tells whoever started the program that it serves: READY=1 on
// NOTIFY_SOCKET, systemd's protocol. Without one it does nothing.
func Ready() error {
	if _, err := daemon.SdNotify(false, daemon.SdNotifyReady); err != nil {
		return fmt.Errorf("cannot tell that %s is ready: %w", os.Args[0], err)
	}
	return nil
}

// tell says something to whoever started the program, if they listen.
func tell(log zerolog.Logger, state string) {
	if _, err := daemon.SdNotify(false, state); err != nil {
		log.Debug().AnErr("err", err).Msg("the one who started this program cannot be told")
	}
}

// HostID is a stable id of this host: programs with the same one can read each
// other's paths. Containers made from one image share its machine id but not
// their files, so the host's name is part of it. It is a hash, for the machine
// id itself is confidential.
func HostID() string {
	id, _ := os.ReadFile("/etc/machine-id") // without one the name has to do
	name, _ := os.Hostname()
	sum := sha256.Sum256([]byte("microbosh host\n" + strings.TrimSpace(string(id)) + "\n" + name))
	return hex.EncodeToString(sum[:8])
}

// RegistryFile is where the registry tells the other programs of its host where
// it is: beside the folder of keys that they share.
func RegistryFile(keys string) string {
	return filepath.Join(filepath.Dir(filepath.Clean(keys)), "registry.json")
}

// OldCredentialFile is where the registry's HTTP credential of before a rotation
// lies, by the path of the present one.
func OldCredentialFile(credential string) string {
	return strings.TrimSuffix(credential, ".http") + ".old.http"
}

// Source names this process in envelopes: <program>/<host>-<pid>.
func Source(program string) string {
	name, err := os.Hostname()
	if err != nil {
		name = "unknown"
	}
	return fmt.Sprintf("%s/%s-%d", program, name, os.Getpid())
}

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

// Main runs a program until it ends or is told to: SIGINT and SIGTERM end ctx, a
// second one ends the process at once. It returns the exit code.
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
					os.Exit(130)
				}
				log.Info().Str("signal", s.String()).Msg("stopping")
				cancel()
			case <-finished:
				return
			}
		}
	}()
	err := run(ctx, log)
	if err != nil && !(ctx.Err() != nil && errors.Is(err, context.Canceled)) {
		e := messages.AsError(err)
		log.Error().Err(err).Str("code", string(e.Code)).Str("hint", e.Hint).Msg("ended")
		return 1
	}
	return 0
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
	return zerolog.New(w).Level(level).With().Timestamp().Str("program", name).Logger()
}

// Ready tells whoever started the program that it serves: READY=1 on
// NOTIFY_SOCKET, systemd's protocol. Without one it does nothing.
func Ready() error {
	if _, err := daemon.SdNotify(false, daemon.SdNotifyReady); err != nil {
		return fmt.Errorf("cannot tell that %s is ready: %w", os.Args[0], err)
	}
	return nil
}

// HostID is a stable id of this host: programs with the same one can read each
// other's paths. It is a hash, for the machine id itself is confidential.
func HostID() string {
	id, err := os.ReadFile("/etc/machine-id")
	if err != nil || len(strings.TrimSpace(string(id))) == 0 {
		name, _ := os.Hostname()
		id = []byte(name)
	}
	sum := sha256.Sum256(append([]byte("microbosh host "), id...))
	return hex.EncodeToString(sum[:8])
}

// Source names this process in envelopes: <program>/<host>-<pid>.
func Source(program string) string {
	name, err := os.Hostname()
	if err != nil {
		name = "unknown"
	}
	return fmt.Sprintf("%s/%s-%d", program, name, os.Getpid())
}

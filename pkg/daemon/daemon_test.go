package daemon_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/microbosh/microbosh/pkg/daemon"
)

const patience = 30 * time.Second

// The test program is also the daemon under test.
func TestMain(m *testing.M) {
	switch os.Getenv("DAEMON_TEST") {
	case "wait":
		os.Exit(daemon.Main("test", func(ctx context.Context, _ zerolog.Logger) error {
			if err := daemon.Ready(); err != nil {
				return err
			}
			fmt.Println("up")
			<-ctx.Done()
			return ctx.Err()
		}))
	case "hang":
		os.Exit(daemon.Main("test", func(ctx context.Context, _ zerolog.Logger) error {
			fmt.Println("up")
			<-ctx.Done()
			fmt.Println("stopping")
			select {}
		}))
	case "log":
		log := daemon.Logger(os.Stdout, "test")
		log.Debug().Msg("debug")
		log.Info().Str("op", "x").Msg("info")
		os.Exit(0)
	case "fail":
		os.Exit(daemon.Main("test", func(context.Context, zerolog.Logger) error { return errors.New("broken") }))
	}
	os.Exit(m.Run())
}

func child(t *testing.T, mode string, env ...string) (*exec.Cmd, *bufio.Scanner, *bytes.Buffer) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(append(os.Environ(), "DAEMON_TEST="+mode, "GORACE=atexit_sleep_ms=0"), env...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return cmd, bufio.NewScanner(out), &stderr
}

func expect(t *testing.T, lines *bufio.Scanner, want string) {
	t.Helper()
	if !lines.Scan() || lines.Text() != want {
		t.Fatalf("printed %q, want %q", lines.Text(), want)
	}
}

func TestTermEndsInOrder(t *testing.T) {
	t.Parallel()
	socket := filepath.Join(t.TempDir(), "n")
	listener, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: socket, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	if err := listener.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	cmd, lines, _ := child(t, "wait", "NOTIFY_SOCKET="+socket)
	buffer := make([]byte, 64)
	n, err := listener.Read(buffer)
	if err != nil || !strings.Contains(string(buffer[:n]), "READY=1") {
		t.Errorf("told %q, %v", buffer[:n], err)
	}
	expect(t, lines, "up")
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if n, err := listener.Read(buffer); err != nil || string(buffer[:n]) != "STOPPING=1" {
		t.Errorf("told %q, %v", buffer[:n], err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("ended with %v", err)
	}
}

func TestLogLines(t *testing.T) {
	t.Parallel()
	for level, want := range map[string]int{"": 1, "debug": 2, "info": 1, "error": 0, "nonsense": 1} {
		cmd, lines, _ := child(t, "log", daemon.LevelVariable+"="+level)
		count := 0
		for ; lines.Scan(); count++ {
			var line struct{ Level, Program, Time, Message string }
			if err := json.Unmarshal(lines.Bytes(), &line); err != nil || line.Program != "test" {
				t.Errorf("%s: line %q: %v", level, lines.Text(), err)
			}
			if at, err := time.Parse(time.RFC3339, line.Time); err != nil || at.Location() != time.UTC || len(line.Time) != len("2006-01-02T15:04:05.000Z") {
				t.Errorf("%s: time %q: %v", level, line.Time, err)
			}
		}
		if err := cmd.Wait(); err != nil || count != want {
			t.Errorf("%q: %d lines, want %d; %v", level, count, want, err)
		}
	}
}

func TestSecondSignalEndsAtOnce(t *testing.T) {
	t.Parallel()
	for second, code := range map[syscall.Signal]int{syscall.SIGINT: 130, syscall.SIGTERM: 143} {
		cmd, lines, _ := child(t, "hang")
		expect(t, lines, "up")
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		expect(t, lines, "stopping")
		if err := cmd.Process.Signal(second); err != nil {
			t.Fatal(err)
		}
		var exit *exec.ExitError
		if err := cmd.Wait(); !errors.As(err, &exit) || exit.ExitCode() != code {
			t.Errorf("%v: ended with %v", second, err)
		}
	}
}

func TestFailureIsToldOnce(t *testing.T) {
	t.Parallel()
	cmd, _, stderr := child(t, "fail")
	if err := cmd.Wait(); err == nil {
		t.Error("ended well")
	}
	if strings.Count(stderr.String(), "broken") != 1 || !strings.Contains(stderr.String(), `"code":"internal"`) {
		t.Errorf("logged %s", stderr)
	}
}

func TestNames(t *testing.T) {
	t.Parallel()
	if first, second := daemon.HostID(), daemon.HostID(); first == "" || first != second {
		t.Error("the host has no stable id")
	}
	if !strings.HasPrefix(daemon.Source("x"), "x/") {
		t.Error(daemon.Source("x"))
	}
}

package embed

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/google/renameio/v2"

	"github.com/microbosh/microbosh/pkg/messages"
)

// address is bus.json.
type address struct {
	URL string `json:"url"`
	PID int    `json:"pid"`
}

// ReadAddress tells where the bus of a folder is. The error has code
// bus_unreachable when none runs there.
func ReadAddress(dir string) (string, error) {
	a, err := readAddress(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return "", messages.Errorf(messages.CodeBusUnreachable, "no bus runs in %s", dir).
			WithHint("start one there, or name a bus by its URL")
	}
	if err != nil {
		return "", err
	}
	if err := syscall.Kill(a.PID, 0); errors.Is(err, syscall.ESRCH) {
		return "", messages.Errorf(messages.CodeBusUnreachable, "no bus runs in %s: process %d, which ran it, has ended", dir, a.PID).
			WithHint("start one there, or name a bus by its URL")
	}
	return a.URL, nil
}

func readAddress(dir string) (address, error) {
	path := filepath.Join(dir, "bus.json")
	b, err := os.ReadFile(path)
	if err != nil {
		return address{}, fmt.Errorf("cannot read the address of the bus: %w", err)
	}
	var a address
	if err := json.Unmarshal(b, &a); err != nil || a.URL == "" || a.PID <= 0 {
		return address{}, messages.Errorf(messages.CodeStateInvalid, "cannot read %s: it holds no address", path).
			WithHint("delete the file and start the bus again")
	}
	return a, nil
}

func writeAddress(dir, url string, port int) error {
	if err := renameio.WriteFile(filepath.Join(dir, "port"), []byte(strconv.Itoa(port)+"\n"), 0o600); err != nil {
		return fmt.Errorf("cannot remember the port of the bus: %w", err)
	}
	b, err := json.Marshal(address{URL: url, PID: os.Getpid()})
	if err != nil {
		return fmt.Errorf("cannot encode the address of the bus: %w", err)
	}
	if err := renameio.WriteFile(filepath.Join(dir, "bus.json"), append(b, '\n'), 0o600); err != nil {
		return fmt.Errorf("cannot write the address of the bus: %w", err)
	}
	return nil
}

func removeAddress(dir string) { _ = os.Remove(filepath.Join(dir, "bus.json")) }

// rememberedPort is the port of the last start, 0 at the first.
func rememberedPort(dir string) (int, error) {
	path := filepath.Join(dir, "port")
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("cannot read the port of the bus: %w", err)
	}
	port, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil || port < 1 || port > 65535 {
		return 0, messages.Errorf(messages.CodeStateInvalid, "cannot read %s: it holds no port", path).
			WithHint("write the port that the agents know into it, or delete it to have a new one chosen")
	}
	return port, nil
}

// free says in words that somebody else listens on the port; the server itself
// would only keep silent.
func free(host string, port int) error {
	l, err := net.Listen("tcp", net.JoinHostPort(host, strconv.Itoa(port)))
	if err != nil {
		return messages.Errorf(messages.CodeBusUnreachable, "the bus cannot listen on %s port %d: %w", host, port, err).
			WithHint("end what listens there; a running agent knows the bus by that port, so choose another only when there is none")
	}
	return l.Close()
}

// lockDir holds the folder for this process; the kernel gives it free when the
// process dies.
func lockDir(dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("cannot open the lock of the bus folder: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = f.Close()
		e := messages.Errorf(messages.CodeStateLocked, "the folder %s is in use by another process", dir).
			WithHint("join the bus that runs there, or end it first")
		if a, err := readAddress(dir); err == nil {
			e = e.WithDetail("pid", strconv.Itoa(a.PID)).WithDetail("url", a.URL)
		}
		return nil, e
	}
	return f, nil
}

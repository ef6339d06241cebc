package stack

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/google/renameio/v2"
)

// rememberedPort is the address of a part's HTTP API. It is the same at every
// start, because VMs and manifests know it; at the first it is a free one.
func rememberedPort(dir, part, host string) (string, error) {
	path := filepath.Join(dir, part+".port")
	if b, err := os.ReadFile(path); err == nil {
		if port, err := strconv.ParseUint(strings.TrimSpace(string(b)), 10, 16); err == nil && port > 0 {
			return net.JoinHostPort(host, strconv.FormatUint(port, 10)), nil
		}
	}
	l, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		return "", fmt.Errorf("cannot find a port for %s: %w", part, err)
	}
	address := l.Addr().String()
	if err := l.Close(); err != nil {
		return "", fmt.Errorf("cannot find a port for %s: %w", part, err)
	}
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return "", fmt.Errorf("cannot find a port for %s: %w", part, err)
	}
	if err := renameio.WriteFile(path, []byte(port+"\n"), 0o600); err != nil {
		return "", fmt.Errorf("cannot remember the port of %s: %w", part, err)
	}
	return address, nil
}

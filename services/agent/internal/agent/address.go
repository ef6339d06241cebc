package agent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"github.com/microbosh/microbosh/services/agent/internal/bootstrap"
	"github.com/microbosh/microbosh/services/agent/internal/home"
)

// listenURL is the mbus to listen on. Below another root folder than / the VM
// shares its machine with others, so "every address" means its own: the
// metadata service tells which, and what it told is remembered for when it is
// away.
func listenURL(ctx context.Context, c Config, mbus string, log zerolog.Logger) (string, error) {
	u, err := url.Parse(mbus)
	dir, dirErr := home.New(c.Base, c.Root)
	if err != nil || dirErr != nil || dir.Root() == "/" || c.Metadata == "" {
		return mbus, nil
	}
	if at, err := netip.ParseAddr(u.Hostname()); err != nil || !at.IsUnspecified() {
		return mbus, nil
	}
	memory := dir.Bosh("local_ipv4")
	own, err := localAddress(ctx, c.Metadata)
	switch {
	case errors.Is(err, errNoAddress):
		log.Warn().AnErr("err", err).Msg("the VM's own address is not known, it listens on all")
		return mbus, nil
	case err != nil:
		text, readErr := home.ReadFile(memory)
		if readErr != nil {
			return "", fmt.Errorf("cannot listen: the VM's own address is not known: %w", err)
		}
		if own, err = netip.ParseAddr(string(text)); err != nil {
			return "", fmt.Errorf("cannot listen: %s: %w", memory, err)
		}
	default:
		if err := home.WriteFile(memory, []byte(own.String()), 0o600); err != nil {
			return "", err
		}
	}
	u.Host = net.JoinHostPort(own.String(), u.Port())
	return u.String(), nil
}

// errNoAddress is a metadata service that does not know addresses.
var errNoAddress = errors.New("the metadata service does not tell local-ipv4")

func localAddress(ctx context.Context, metadata string) (netip.Addr, error) {
	const limit = 5 * time.Second
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(metadata, "/")+"/latest/meta-data/local-ipv4", nil)
	if err != nil {
		return netip.Addr{}, err
	}
	resp, err := bootstrap.NewClient().Do(req)
	if err != nil {
		return netip.Addr{}, err
	}
	defer resp.Body.Close()
	switch resp.StatusCode {
	case http.StatusOK:
	case http.StatusNotFound:
		return netip.Addr{}, errNoAddress
	default:
		return netip.Addr{}, fmt.Errorf("local-ipv4: %s", resp.Status)
	}
	const longest = 64
	text, err := io.ReadAll(io.LimitReader(resp.Body, longest))
	if err != nil {
		return netip.Addr{}, err
	}
	return netip.ParseAddr(strings.TrimSpace(string(text)))
}

package agent

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"github.com/microbosh/microbosh/services/agent/internal/home"
)

// listenURL is the mbus to listen on. Below another root folder than / the VM
// shares its machine with others, so "every address" means its own: the
// metadata service tells which.
func listenURL(ctx context.Context, c Config, mbus string, log zerolog.Logger) string {
	u, err := url.Parse(mbus)
	dir, dirErr := home.New(c.Base, c.Root)
	if err != nil || dirErr != nil || dir.Root() == "/" || c.Metadata == "" {
		return mbus
	}
	if at, err := netip.ParseAddr(u.Hostname()); err != nil || !at.IsUnspecified() {
		return mbus
	}
	own, err := localAddress(ctx, c.Metadata)
	if err != nil {
		log.Warn().AnErr("err", err).Msg("the VM's own address is not known, it listens on all")
		return mbus
	}
	u.Host = net.JoinHostPort(own.String(), u.Port())
	return u.String()
}

func localAddress(ctx context.Context, metadata string) (netip.Addr, error) {
	const limit = 5 * time.Second
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(metadata, "/")+"/latest/meta-data/local-ipv4", nil)
	if err != nil {
		return netip.Addr{}, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return netip.Addr{}, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return netip.Addr{}, fmt.Errorf("local-ipv4: %s", resp.Status)
	}
	const longest = 64
	text, err := io.ReadAll(io.LimitReader(resp.Body, longest))
	if err != nil {
		return netip.Addr{}, err
	}
	return netip.ParseAddr(strings.TrimSpace(string(text)))
}

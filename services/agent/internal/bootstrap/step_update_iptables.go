package bootstrap

import (
	"context"
	"net/url"
	"strconv"

	"github.com/microbosh/microbosh/services/agent/internal/platform"
)

// Link-local addresses of a cloud's metadata service.
const (
	metadataIPv4 = "169.254.169.254"
	metadataIPv6 = "fe80::a9fe:a9fe"
)

// updateIPTables keeps from jobs what the settings name, and what tells and
// takes the machine's secrets: the metadata service and the bus.
func updateIPTables(ctx context.Context, b *boot) error {
	drops := []platform.Drop{{To: metadataIPv4}, {To: metadataIPv6}}
	if b.Settings.IPTables != nil {
		for _, to := range b.Settings.IPTables.DropOutput {
			drops = append(drops, platform.Drop{To: to, Must: true})
		}
	}
	m, err := b.mbus()
	if err != nil {
		return err
	}
	for _, text := range m.URLs {
		u, err := url.Parse(text)
		if err != nil || u.Hostname() == "" || (u.Scheme != "nats" && u.Scheme != "tls") {
			continue // over https the agent is called
		}
		const usual = 4222
		port, err := strconv.ParseUint(u.Port(), 10, 16)
		if err != nil {
			port = usual
		}
		drops = append(drops, platform.Drop{To: u.Hostname(), Port: uint16(port)})
	}
	return b.Platform.Drop(ctx, drops)
}

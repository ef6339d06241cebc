package main

import (
	"context"
	"fmt"
	"net/netip"

	"github.com/rs/zerolog"

	"github.com/microbosh/microbosh/deploy/devcloud"
	"github.com/microbosh/microbosh/deploy/devcloud/namespace"
	"github.com/microbosh/microbosh/deploy/devcloud/rootless"
)

// How servers are made.
const (
	auto       = "auto"
	namespaces = "namespace"
	processes  = "rootless"
)

// choose makes the hypervisor, and the subnet that its servers can have. Size
// tells how large a volume is.
func choose(ctx context.Context, log zerolog.Logger, name string, subnet netip.Prefix, size func(string) int64) (devcloud.Hypervisor, netip.Prefix, func() error, error) {
	nothing := func() error { return nil }
	switch name {
	case auto, namespaces, processes:
	default:
		return nil, subnet, nothing, fmt.Errorf("cannot use --hypervisor %q: it is auto, namespace or rootless", name)
	}
	why := namespace.Available()
	if name == processes || (name == auto && why != nil) {
		if name == auto {
			log.Info().AnErr("why", why).Msg("servers are processes, what a machine would change is recorded")
		}
		h, err := rootless.New(rootless.Options{Log: log})
		return h, subnet, nothing, err
	}
	if subnet.Addr().IsLoopback() {
		subnet = netip.MustParsePrefix(namespace.Subnet)
	}
	h, err := namespace.New(ctx, namespace.Options{Subnet: subnet, Size: size, Log: log})
	if err != nil {
		return nil, subnet, nothing, err
	}
	log.Info().Str("subnet", subnet.String()).Msg("servers are namespaces, their agents configure them for real")
	return h, subnet, h.Close, nil
}

package linux

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"time"

	"github.com/coreos/go-iptables/iptables"

	"github.com/microbosh/microbosh/services/agent/internal/platform"
)

// chain holds the agent's rules and nobody else's.
const (
	table  = "filter"
	chain  = "agent-filter"
	output = "OUTPUT"
)

// Drop lets only root send to the destinations.
func (l *Linux) Drop(ctx context.Context, drops []platform.Drop) error {
	var v4, v6 [][]string
	for _, drop := range drops {
		targets, err := resolve(ctx, drop.To)
		if err != nil {
			if drop.Must {
				return fmt.Errorf("cannot keep %s to root: %w", drop.To, err)
			}
			l.log.Warn().Str("to", drop.To).AnErr("err", err).Msg("an address is not kept to root, its name is unknown")
		}
		for _, to := range targets {
			rule := []string{"-d", to.String()}
			if drop.Port != 0 {
				rule = append(rule, "-p", "tcp", "-m", "tcp", "--dport", strconv.Itoa(int(drop.Port)))
			}
			rule = append(rule, "-m", "owner", "!", "--uid-owner", "0", "-j", "DROP")
			if to.Addr().Is4() {
				v4 = append(v4, rule)
			} else {
				v6 = append(v6, rule)
			}
		}
	}
	if err := rebuild(iptables.ProtocolIPv4, "iptables", v4); err != nil {
		return err
	}
	err := rebuild(iptables.ProtocolIPv6, "ip6tables", v6)
	if err != nil && !exists("/proc/sys/net/ipv6") {
		l.log.Info().Msg("the kernel has no IPv6, its firewall is left out")
		return nil
	}
	return err
}

// rebuild makes the chain hold exactly these rules. It is emptied only when it
// holds others, so that a restart of the agent opens no gap.
func rebuild(protocol iptables.Protocol, tool string, rules [][]string) error {
	path, ok := which(tool)
	if !ok {
		return missing(tool)
	}
	t, err := iptables.New(iptables.IPFamily(protocol), iptables.Path(path), iptables.Timeout(10))
	if err != nil {
		return fmt.Errorf("cannot use %s: %w", tool, err)
	}
	same, err := holds(t, rules)
	if err != nil {
		return fmt.Errorf("cannot read the rules of %s: %w", tool, err)
	}
	if !same {
		if err := t.ClearChain(table, chain); err != nil { // makes it when it is missing
			return fmt.Errorf("cannot make the chain %s: %w", chain, err)
		}
		for _, rule := range rules {
			if err := t.Append(table, chain, rule...); err != nil {
				return fmt.Errorf("cannot add a rule to %s: %w", chain, err)
			}
		}
	}
	if err := t.AppendUnique(table, output, "-j", chain); err != nil {
		return fmt.Errorf("cannot lead %s to %s: %w", output, chain, err)
	}
	return nil
}

func holds(t *iptables.IPTables, rules [][]string) (bool, error) {
	if ok, err := t.ChainExists(table, chain); err != nil || !ok {
		return false, err
	}
	now, err := t.List(table, chain) // the first line declares the chain
	if err != nil || len(now) != len(rules)+1 {
		return false, err
	}
	for _, rule := range rules {
		if ok, err := t.Exists(table, chain, rule...); err != nil || !ok {
			return false, err
		}
	}
	return true, nil
}

// resolve takes an address, a network or a name.
func resolve(ctx context.Context, to string) ([]netip.Prefix, error) {
	if a, err := netip.ParseAddr(to); err == nil {
		return []netip.Prefix{netip.PrefixFrom(a.Unmap(), a.Unmap().BitLen())}, nil
	}
	if p, err := netip.ParsePrefix(to); err == nil {
		return []netip.Prefix{p.Masked()}, nil
	}
	const limit = 3 * time.Second
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	found, err := net.DefaultResolver.LookupNetIP(ctx, "ip", to)
	if err != nil {
		return nil, err
	}
	var out []netip.Prefix
	for _, a := range found {
		out = append(out, netip.PrefixFrom(a.Unmap(), a.Unmap().BitLen()))
	}
	if len(out) == 0 {
		return nil, errors.New("the name has no address")
	}
	return out, nil
}

package action

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"

	"github.com/microbosh/microbosh/pkg/messages"
	"github.com/microbosh/microbosh/services/agent/internal/home"
	"github.com/microbosh/microbosh/services/agent/internal/jobset"
)

// apply makes the machine what the spec says. Until the very end it is what the
// spec before says, also after a kill at any point or a failure.
func apply(ctx context.Context, d *Dispatcher, c call) (any, error) {
	s, err := specArgument(c)
	if err != nil {
		return nil, err
	}
	if _, err := jobset.Recover(d.o.Home); err != nil { // an earlier one that could not be undone
		return nil, err
	}
	old, err := d.current()
	if err != nil {
		return nil, err
	}
	if old.Deployment != "" && old.Deployment != s.Deployment {
		return nil, fmt.Errorf("attempt to apply %s to %s", s.Deployment, old.Deployment)
	}
	if err := d.completeNetworks(ctx, &s); err != nil {
		return nil, err
	}
	if s.installs() {
		return "applied", d.install(ctx, old, s)
	}
	return "applied", jobset.Store(d.o.Home, s.raw)
}

// prepare unpacks what apply would, and links nothing.
func prepare(ctx context.Context, d *Dispatcher, c call) (any, error) {
	s, err := specArgument(c)
	if err != nil {
		return nil, err
	}
	if err := s.checkBlobs(); err != nil {
		return nil, err
	}
	if err := d.completeNetworks(ctx, &s); err != nil {
		return nil, err
	}
	if _, err := d.unpackPackages(ctx, s); err != nil {
		return nil, err
	}
	if _, err := d.unpackJobs(ctx, s); err != nil {
		return nil, err
	}
	return "prepared", nil
}

func specArgument(c call) (spec, error) {
	var raw json.RawMessage
	if err := c.arg(0, &raw); err != nil {
		return spec{}, err
	}
	s, err := parseSpec(raw)
	if err != nil {
		return spec{}, err
	}
	return s, s.check()
}

// install unpacks what is missing beside what is used, then switches.
func (d *Dispatcher) install(ctx context.Context, old, s spec) error {
	jobs, err := d.unpackJobs(ctx, s)
	if err != nil {
		return err
	}
	var packages []installed
	if len(jobs) > 0 { // without a job no package is used
		if packages, err = d.unpackPackages(ctx, s); err != nil {
			return err
		}
	}
	var next jobset.Set
	if next.Links, err = d.links(jobs, packages); err != nil {
		return err
	}
	if next.Monit, err = monitFiles(s, jobs); err != nil {
		return err
	}
	change, err := jobset.Begin(d.o.Home, next)
	if err != nil {
		return err
	}
	if err := d.switchTo(ctx, change, s, jobs); err != nil {
		return errors.Join(err, d.switchBack(ctx, change, old))
	}
	if err := d.collect(old, jobs, packages); err != nil {
		d.o.Log.Warn().AnErr("err", err).Msg("what the spec dropped is removed at the next apply")
	}
	return nil
}

func (d *Dispatcher) switchTo(ctx context.Context, change *jobset.Switch, s spec, jobs []installed) error {
	if err := change.Link(); err != nil {
		return err
	}
	if err := d.postInstalls(ctx, jobs); err != nil {
		return err
	}
	if err := change.Supervise(); err != nil {
		return err
	}
	if err := d.supervise(ctx, s); err != nil {
		return err
	}
	return change.Commit(s.raw)
}

func (d *Dispatcher) switchBack(ctx context.Context, change *jobset.Switch, old spec) error {
	if err := change.Undo(); err != nil {
		return err
	}
	if ctx.Err() != nil { // the agent ends; its next start reads the files
		return nil
	}
	return d.supervise(ctx, old)
}

// supervise has the set's monit files read and its logs rotated.
func (d *Dispatcher) supervise(ctx context.Context, s spec) error {
	if err := d.o.Supervisor.Reload(ctx); err != nil {
		return err
	}
	size := s.Properties.Logging.MaxLogFileSize
	if size == "" {
		size = "50M"
	}
	return d.o.Machine.SetupLogrotate(ctx, size)
}

// completeNetworks fills in what a dynamic network got from its DHCP server.
func (d *Dispatcher) completeNetworks(ctx context.Context, s *spec) error {
	changed := false
	for name, raw := range s.Networks {
		var n map[string]any
		if json.Unmarshal(raw, &n) != nil || n == nil {
			continue
		}
		switch kind, _ := n["type"].(string); kind {
		case "dynamic":
		case "", "vip", "manual":
			continue
		default:
			return fmt.Errorf("Unsupported network type '%s', valid types are: vip, dynamic, manual", clip(kind)) //nolint:staticcheck // BOSH's text
		}
		found, err := d.resolved(ctx, name)
		if err != nil {
			return fmt.Errorf("cannot complete network %s: %w", name, err)
		}
		n["ip"], n["netmask"], n["gateway"] = found.IP, found.Netmask, found.Gateway
		if s.Networks[name], err = json.Marshal(n); err != nil {
			return fmt.Errorf("cannot complete network %s: %w", name, err)
		}
		changed = true
	}
	if !changed {
		return nil
	}
	raw, err := json.Marshal(s.Networks)
	if err != nil {
		return fmt.Errorf("cannot complete the networks: %w", err)
	}
	s.raw["networks"] = raw
	return nil
}

// resolved prefers what the settings know to the default route.
func (d *Dispatcher) resolved(ctx context.Context, name string) (messages.Network, error) {
	if n, ok := d.o.Boot.Networks[name]; ok && n.IP != "" {
		return n, nil
	}
	return d.o.Machine.DefaultNetwork(ctx)
}

// releaseApplySpec is the spec that the stemcell was built with.
func releaseApplySpec(_ context.Context, d *Dispatcher, _ call) (any, error) {
	var s json.RawMessage
	path := d.o.Home.Join("micro", "apply_spec.json")
	err := home.ReadJSON(path, &s)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("cannot read the release's apply spec: the stemcell has no %s", path)
	}
	return s, err
}

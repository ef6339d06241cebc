package action

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"

	"github.com/microbosh/microbosh/services/agent/internal/home"
)

// updateSettings stores what bootstrap prefers to the settings. A changed mbus
// or blobstore starts the agent anew: the task has ended by then.
func updateSettings(ctx context.Context, d *Dispatcher, c call) (any, error) {
	var update map[string]json.RawMessage
	if err := c.arg(0, &update); err != nil {
		return nil, err
	}
	var known struct {
		TrustedCerts string `json:"trusted_certs"`
		Associations []struct {
			Name string `json:"name"`
			CID  string `json:"cid"`
		} `json:"disk_associations"`
	}
	if err := c.arg(0, &known); err != nil {
		return nil, err
	}
	for _, a := range known.Associations {
		if !fileName.MatchString(a.Name) {
			return nil, fmt.Errorf("Fetching disk settings: %q is no name for a disk", clip(a.Name)) //nolint:staticcheck // BOSH's text
		}
		device, err := d.o.Disks.Find(ctx, a.CID, nil)
		if err != nil {
			return nil, fmt.Errorf("Fetching disk settings: %w", err) //nolint:staticcheck // BOSH's text
		}
		if err := home.Symlink(device, d.o.Home.Join("instance", "disks", a.Name)); err != nil {
			return nil, fmt.Errorf("Associating disk with name %s: %w", a.Name, err) //nolint:staticcheck // BOSH's text
		}
	}
	if _, given := update["trusted_certs"]; given {
		if err := d.o.Served.TrustCertificates(ctx, known.TrustedCerts); err != nil {
			return nil, err
		}
	}
	restart, err := d.storeSettings(update)
	if err != nil {
		return nil, err
	}
	if restart {
		d.o.Log.Info().Msg("mbus or blobstore changed, the agent starts anew")
		d.o.Restart()
	}
	return "ok", nil
}

// storeSettings adds the update to earlier ones and tells whether the agent
// must start anew for it.
func (d *Dispatcher) storeSettings(update map[string]json.RawMessage) (restart bool, err error) {
	path := d.o.Home.Bosh("update_settings.json")
	stored := map[string]json.RawMessage{}
	if err := home.ReadJSON(path, &stored); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, err
	}
	for key, value := range update {
		var now, before bytes.Buffer
		if err := json.Compact(&now, value); err != nil {
			return false, err
		}
		if old, ok := stored[key]; ok {
			if err := json.Compact(&before, old); err != nil {
				return false, err
			}
		}
		switch now.String() {
		case "null", "{}", "[]", `""`:
			if key == "mbus" || key == "blobstores" {
				continue // nothing is said of it
			}
		}
		if key == "mbus" || key == "blobstores" {
			restart = restart || now.String() != before.String()
		}
		stored[key] = value
	}
	return restart, home.WriteJSON(path, stored)
}

// deleteARPEntries forgets where addresses were: a VM that was made anew may
// have another interface.
func deleteARPEntries(ctx context.Context, d *Dispatcher, c call) (any, error) {
	var request struct {
		IPs []string `json:"ips"`
	}
	if err := c.arg(0, &request); err != nil {
		return nil, err
	}
	for _, ip := range request.IPs {
		if _, err := netip.ParseAddr(ip); err != nil {
			return nil, fmt.Errorf("%q is no IP address", clip(ip))
		}
	}
	d.machine.Lock()
	defer d.machine.Unlock()
	return struct{}{}, d.o.Served.ForgetNeighbors(ctx, request.IPs)
}

// prepareNetworkChange forgets the network and the cached settings, and starts
// the agent anew once its answer is on its way.
func prepareNetworkChange(ctx context.Context, d *Dispatcher, _ call) (any, error) {
	if err := d.o.Served.ForgetNetwork(ctx); err != nil {
		return nil, err
	}
	if err := os.Remove(d.o.Home.Bosh("settings.json")); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("cannot remove the cached settings: %w", err)
	}
	d.o.Restart()
	return true, nil
}

// shutdown says goodbye, halts the machine as far as the platform does, and
// ends the agent once its answer is on its way.
func shutdown(ctx context.Context, d *Dispatcher, _ call) (any, error) {
	if err := d.o.Goodbye(); err != nil {
		d.o.Log.Warn().AnErr("err", err).Msg("the shutdown notice could not be sent")
	}
	if err := d.o.Machine.Shutdown(ctx); err != nil {
		return nil, fmt.Errorf("cannot shut down: %w", err)
	}
	d.o.Quit()
	return "", nil
}

package devcloud

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
)

// ephemeralDevice is the one of a flavor's ephemeral disk.
const ephemeralDevice = "/dev/sdb"

func (c *Cloud) serverDir(id string) string { return filepath.Join(c.o.Dir, "servers", id) }

// ephemeralDir is the folder of a server's ephemeral disk, gone with the server.
func (c *Cloud) ephemeralDir(s *server) string { return filepath.Join(c.serverDir(s.ID), "ephemeral") }

// guest is what a hypervisor must know to boot the server now.
func (c *Cloud) guest(s *server) Guest {
	g := Guest{
		ID: s.ID, Name: s.Name, Dir: c.serverDir(s.ID), Image: Image{ID: s.ImageID, Path: c.imageFile(s.ImageID)}, UserData: s.UserData,
		Meta: copied(s.Metadata), Disks: map[string]string{}, Files: s.Files,
	}
	if k := c.keys[s.Key]; k != nil {
		g.Key = k.PublicKey
	}
	if len(s.Ports) > 0 && c.ports[s.Ports[0]] != nil {
		g.Address = c.ports[s.Ports[0]].Address
	}
	if s.Flavor.Ephemeral > 0 {
		g.Disks[ephemeralDevice] = c.ephemeralDir(s)
	}
	for _, a := range s.Volumes {
		g.Disks[a.Device] = c.volumeDir(a.Volume)
	}
	return g
}

// act is what an operation does with a server's machine, nil for none; it
// returns the machine that the server has then.
type act func(ctx context.Context, has Machine, g Guest) (Machine, error)

// operate runs do beside the requests, one operation of a server after the
// other, and done with the mutex held once the server's latency has passed.
// Without a hypervisor there is nothing to do, and the outcome is at once.
func (c *Cloud) operate(s *server, do act, done func(error)) {
	if c.o.Hypervisor == nil {
		c.soon(func() {
			if c.servers[s.ID] == s {
				done(nil)
			}
		})
		return
	}
	c.work(func(ctx context.Context) {
		select {
		case <-s.turn:
		case <-ctx.Done():
			return
		}
		defer func() { s.turn <- struct{}{} }()
		if !c.pause(ctx) {
			return
		}
		c.mu.Lock()
		g, has, living := c.guest(s), s.machine, c.servers[s.ID] == s
		c.mu.Unlock()
		if !living {
			return
		}
		next, err := do(ctx, has, g)
		c.mu.Lock()
		defer c.mu.Unlock()
		s.machine = next
		if next != nil && next != has {
			c.notice(s, next)
		}
		done(err)
	})
}

// notice moves a server to SHUTOFF when its machine ends by itself, as Nova does
// when it looks at its hypervisor. The caller holds the mutex.
func (c *Cloud) notice(s *server, machine Machine) {
	c.work(func(ctx context.Context) {
		select {
		case <-machine.Ended():
		case <-ctx.Done():
			return
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		if s.machine != machine || s.Task != "" {
			return // it was told to end
		}
		s.machine, s.Status, s.Updated = nil, "SHUTOFF", c.tick()
		c.o.Log.Warn().Str("server", s.ID).Msg("a server ended by itself")
	})
}

func (c *Cloud) boot(ctx context.Context, has Machine, g Guest) (Machine, error) {
	if has != nil {
		return has, nil
	}
	if folder, ok := g.Disks[ephemeralDevice]; ok {
		if err := os.MkdirAll(folder, 0o700); err != nil {
			return nil, fmt.Errorf("cannot make the ephemeral disk: %w", err)
		}
	}
	return c.o.Hypervisor.Boot(ctx, g)
}

func stop(gentle bool) act {
	return func(_ context.Context, has Machine, _ Guest) (Machine, error) {
		if has == nil {
			return nil, nil
		}
		return nil, has.Stop(gentle)
	}
}

// settle ends an operation in a status, or in ERROR with its cause.
func (c *Cloud) settle(s *server, status string) func(error) {
	return func(err error) {
		if s.Task == "deleting" {
			return
		}
		s.Task, s.Status, s.Updated = "", status, c.tick()
		if err != nil {
			s.Status, s.Fault, s.FaultAt = "ERROR", err.Error(), s.Updated
			c.o.Log.Warn().Err(err).Str("server", s.ID).Msg("a server is in error")
		}
	}
}

// start boots a new server, or fails it when it is fated to.
func (c *Cloud) start(s *server, fate Fault) {
	s.Task = "spawning"
	if fate.Mode != ModeError {
		c.operate(s, c.boot, c.settle(s, "ACTIVE"))
		return
	}
	text := fate.Message
	if text == "" {
		text = "No valid host was found. There are not enough hosts available."
	}
	c.soon(func() {
		if s.Task != "deleting" {
			s.Task, s.Status, s.Fault, s.FaultAt = "", "ERROR", text, c.tick()
		}
	})
}

func (c *Cloud) deleteServer(s *server, _ *http.Request) (int, any, error) {
	if s.Task == "deleting" {
		return http.StatusNoContent, nil, nil
	}
	s.Task = "deleting"
	c.operate(s, func(_ context.Context, has Machine, g Guest) (Machine, error) {
		if has != nil {
			if err := has.Stop(false); err != nil {
				return has, err
			}
		}
		return nil, c.o.Hypervisor.Remove(g)
	}, func(err error) {
		if err != nil {
			s.Task = ""
			c.settle(s, "ERROR")(err)
			return
		}
		c.dropServer(s)
	})
	return http.StatusNoContent, nil, nil
}

func (c *Cloud) dropServer(s *server) {
	c.unplug(s)
	for _, a := range s.Volumes {
		v := c.volumes[a.Volume]
		if v == nil {
			continue
		}
		v.Status, v.Server, v.Device, v.Updated = "available", "", "", c.tick()
		if a.Delete {
			c.dropVolume(v)
		}
	}
	delete(c.servers, s.ID)
}

// refuseUnless answers 409 when the server is in no state for the action.
func refuseUnless(s *server, action string, statuses ...string) error {
	if s.Task != "" {
		return novaError(http.StatusConflict, "Cannot '%s' instance %s while it is in task_state %s", action, s.ID, s.Task)
	}
	for _, status := range statuses {
		if s.Status == status {
			return nil
		}
	}
	state := map[string]string{"ACTIVE": "active", "BUILD": "building", "SHUTOFF": "stopped", "ERROR": "error"}[s.Status]
	return novaError(http.StatusConflict, "Cannot '%s' instance %s while it is in vm_state %s", action, s.ID, state)
}

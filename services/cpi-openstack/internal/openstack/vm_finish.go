package openstack

import (
	"context"

	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/servers"

	"github.com/microbosh/microbosh/pkg/messages"
	"github.com/microbosh/microbosh/services/cpi-openstack/internal/cpi"
)

// finish waits until the server runs, and gives it its floating address.
func (v *vm) finish(ctx context.Context, cid string) (any, error) {
	server, err := v.active(ctx, cid)
	if err != nil {
		return nil, err
	}
	if err := v.session.assignFloating(ctx, cid, v.networks); err != nil {
		return nil, v.abandon(ctx, cid, err)
	}
	if err := v.join(ctx, server); err != nil {
		return nil, v.abandon(ctx, cid, err)
	}
	if fixed := addressesOf(server, "fixed"); len(fixed) > 0 {
		if err := v.recordAddresses(ctx, fixed); err != nil {
			return nil, err
		}
	}
	return messages.CreateVMOutputs{CID: cid, Name: v.args.Name, AgentID: v.args.AgentID, Networks: v.args.Networks}, nil
}

// recordAddresses tells the registry from where the server will ask. After a
// crash this process has not stored the settings itself and takes them from
// there; what the registry lost is made again.
func (v *vm) recordAddresses(ctx context.Context, addresses []string) error {
	if v.settings == nil {
		var err error
		v.settings, v.revision, err = v.cloud.registry.get(ctx, v.args.Name)
		if hasCode(err, messages.CodeSettingsNotFound) {
			err = v.prepare(ctx)
		}
		if err != nil {
			return err
		}
	}
	return v.store(ctx, addresses)
}

// active waits for ACTIVE. A server in ERROR is removed: its step is over, and
// the next one makes another.
func (v *vm) active(ctx context.Context, cid string) (*servers.Server, error) {
	var server *servers.Server
	err := v.session.await(ctx, "Server `"+cid+"'", "active", func(ctx context.Context) (bool, error) {
		var err error
		if server, err = v.session.getServer(ctx, cid); notFound(err) {
			return false, messages.Errorf(messages.CodeCloudTransient, "Server `%s': Resource not found", cid)
		}
		switch {
		case err != nil:
			return false, err
		case server.Status == "ACTIVE":
			return true, nil
		case server.Status == "ERROR":
			return false, v.failed(ctx, server)
		}
		v.step.Progress("server "+cid+" is "+server.Status, 0, 0)
		return false, v.step.Note(ctx, cid)
	})
	return server, err
}

func (v *vm) failed(ctx context.Context, server *servers.Server) error {
	fault := first(server.Fault.Message, "the cloud does not say why")
	failed := messages.Errorf(messages.CodeVMFailed, "Server `%s' state is error, expected active: %s", server.ID, fault).
		WithHint("the server was removed; the cause is the cloud's: its scheduler and compute logs tell more").WithDetail("cid", server.ID)
	return v.abandon(ctx, server.ID, failed)
}

// abandon removes a server that cannot become what was asked for, so that the
// step's failure is final, unless the error may pass.
func (v *vm) abandon(ctx context.Context, cid string, cause error) error {
	if cpi.Transient(cause) || ctx.Err() != nil {
		return cause
	}
	err := v.step.Discard(ctx, cid, func(ctx context.Context, cid string) error {
		if err := v.remove(ctx, cid); err != nil {
			return err
		}
		return v.undo(ctx)
	})
	if err != nil {
		return err
	}
	return cause
}

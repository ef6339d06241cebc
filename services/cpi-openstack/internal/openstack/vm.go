package openstack

import (
	"context"
	"encoding/json"
	"unicode/utf8"

	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/servers"

	"github.com/microbosh/microbosh/pkg/messages"
	"github.com/microbosh/microbosh/services/cpi-openstack/internal/cpi"
)

// maxMetadata is what Nova takes of a key and of a value.
const maxMetadata = 255

func gone(status string) bool {
	return status == "DELETED" || status == "SOFT_DELETED" || status == "TERMINATED"
}

// departing tells whether a server is on its way out, so that a refused repeat
// of the request is no failure.
func departing(server *servers.Server) bool {
	return gone(server.Status) || server.TaskState == "deleting"
}

func (s *session) departed(ctx context.Context, cid string) bool {
	server, err := s.getServer(ctx, cid)
	return notFound(err) || (err == nil && departing(server))
}

func (s *session) getServer(ctx context.Context, cid string) (*servers.Server, error) {
	if err := require("server", cid); err != nil {
		return nil, err
	}
	server, err := servers.Get(ctx, s.compute, cid).Extract()
	if err != nil {
		return nil, classify("read the server "+cid, reads, err)
	}
	return server, nil
}

// deleteServer removes a server that its owner made, and waits until it is
// gone. An absent one is no error.
func (s *session) deleteServer(ctx context.Context, cid, owner string) error {
	server, err := s.getServer(ctx, cid)
	if notFound(err) {
		return nil
	}
	if err != nil {
		return err
	}
	if !s.owns(server.Metadata[tagStep], owner) {
		return foreign("Server", cid, owner)
	}
	if err := s.leavePools(ctx, server, owner); err != nil {
		return err
	}
	if !departing(server) {
		err := classify("delete the server "+cid, reads, servers.Delete(ctx, s.compute, cid).ExtractErr())
		if err != nil && !notFound(err) && !s.departed(ctx, cid) {
			return err
		}
	}
	return s.await(ctx, "Server `"+cid+"'", "deleted", func(ctx context.Context) (bool, error) {
		server, err := s.getServer(ctx, cid)
		if notFound(err) {
			return true, nil
		}
		if err != nil {
			return false, err
		}
		return gone(server.Status), nil
	})
}

func (c *Cloud) deleteVM(ctx context.Context, _ *cpi.Step, o *session, args messages.DeleteVMArgs) (any, error) {
	for what, id := range map[string]string{"VM": args.VMCID, "owner": args.Owner} {
		if err := require(what, id); err != nil {
			return nil, err
		}
	}
	if o.trusting {
		if server, err := o.getServer(ctx, args.VMCID); err == nil {
			args.Owner, args.Name = first(server.Metadata[tagStep], args.Owner), first(args.Name, server.Name)
		} else if !notFound(err) {
			return nil, err
		}
	}
	if err := o.deleteServer(ctx, args.VMCID, args.Owner); err != nil {
		return nil, err
	}
	if err := o.deletePorts(ctx, args.Owner); err != nil {
		return nil, err
	}
	if args.Name == "" {
		return nil, nil
	}
	return nil, c.registry.delete(ctx, args.Name)
}

// hasVM answers the service's has_vm.
func (c *Cloud) hasVM(ctx context.Context, raw []byte, secrets messages.StepSecrets) (any, error) {
	var args messages.VMArgs
	if json.Unmarshal(raw, &args) != nil {
		return nil, messages.Errorf(messages.CodeMalformed, "the arguments of has_vm cannot be read")
	}
	if err := require("VM", args.VMCID); err != nil {
		return nil, err
	}
	o, err := c.sessions.get(ctx, secrets.Properties)
	if err != nil {
		return nil, err
	}
	server, err := o.getServer(ctx, args.VMCID)
	if notFound(err) {
		return false, nil
	}
	if err != nil {
		return nil, err
	}
	return !gone(server.Status), nil
}

func (c *Cloud) setVMMetadata(ctx context.Context, _ *cpi.Step, o *session, args messages.SetVMMetadataArgs) (any, error) {
	if err := require("VM", args.VMCID); err != nil {
		return nil, err
	}
	set := servers.MetadataOpts{}
	for key, value := range args.Metadata {
		switch key {
		case tagDeployment, tagUID, tagStep: // say whose it is, from its create on
		default:
			set[clip(key)] = clip(value)
		}
	}
	if len(set) > 0 {
		err := classify("write the metadata of "+args.VMCID, writes, servers.UpdateMetadata(ctx, o.compute, args.VMCID, set).Err)
		if err != nil {
			return nil, err
		}
	}
	name := first(args.Metadata["name"], args.Metadata["Name"])
	if !o.OpenStack.HumanReadableNames || name == "" {
		return nil, nil
	}
	err := servers.Update(ctx, o.compute, args.VMCID, servers.UpdateOpts{Name: clip(name)}).Err
	return nil, classify("rename the server "+args.VMCID, writes, err)
}

// clip cuts to what Nova takes, between two letters.
func clip(s string) string {
	if len(s) <= maxMetadata {
		return s
	}
	cut := maxMetadata
	for cut > 0 && !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut]
}

func (c *Cloud) discoverIP(ctx context.Context, _ *cpi.Step, o *session, args messages.VMArgs) (any, error) {
	if err := require("VM", args.VMCID); err != nil {
		return nil, err
	}
	server, err := o.getServer(ctx, args.VMCID)
	if err != nil {
		return nil, err
	}
	fixed, floating := addressesOf(server, "fixed"), addressesOf(server, "floating")
	if len(fixed) == 0 {
		return nil, messages.Errorf(messages.CodeCloudTransient, "Server `%s' has no address yet", args.VMCID)
	}
	if len(floating) == 0 {
		// Nova learns of a floating address some time after Neutron.
		if floating, err = o.floatingOf(ctx, args.VMCID); err != nil {
			return nil, err
		}
	}
	out := messages.DiscoverIPOutputs{IP: fixed[0], ServiceIP: fixed[0]}
	if len(floating) > 0 {
		out.IP = floating[0]
	}
	return out, nil
}

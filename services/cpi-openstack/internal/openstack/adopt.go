package openstack

import (
	"context"
	"maps"
	"strings"

	"github.com/gophercloud/gophercloud/v2/openstack/blockstorage/v3/volumes"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/servers"
	"github.com/gophercloud/gophercloud/v2/openstack/image/v2/images"
	"github.com/gophercloud/gophercloud/v2/openstack/networking/v2/ports"

	"github.com/microbosh/microbosh/pkg/messages"
	"github.com/microbosh/microbosh/services/cpi-openstack/internal/cpi"
)

// adopt makes a resource the step's: from here on its deployment may delete it.
// A repeat finds it adopted.
func (c *Cloud) adopt(ctx context.Context, s *cpi.Step, o *session, args messages.AdoptArgs) (any, error) {
	if err := requireTags(s, args.Tags); err != nil {
		return nil, err
	}
	var out messages.AdoptOutputs
	var err error
	switch args.Kind {
	case messages.KindVM:
		out, err = c.adoptVM(ctx, s, o, args)
	case messages.KindDisk:
		out, err = o.adoptDisk(ctx, args)
	case messages.KindStemcell:
		out, err = o.adoptImage(ctx, args)
	default:
		return nil, messages.Errorf(messages.CodeMalformed, "adopt does not know the kind %q", args.Kind)
	}
	if notFound(err) {
		return messages.AdoptOutputs{}, nil
	}
	return out, err
}

// free tells whether a resource with these tags may be adopted: what nobody
// claims, what a Director or create-env had made, and what the import names.
func free(what string, has messages.Tags, args messages.AdoptArgs) error {
	_, step, _, _ := messages.ParseStepID(has.Step)
	if has.UID == "" || has.UID == args.From || has.UID == args.Tags.UID || step == messages.StepCall {
		return nil
	}
	return messages.Errorf(messages.CodeCloudForeign, "%s %s belongs to the deployment `%s' (uid %s)", what, args.CID, has.Deployment, has.UID).
		WithHint("delete that deployment, or import what it has with `microbosh state rebuild --uid %s`", has.UID).WithDetail("cid", args.CID)
}

// adoptVM takes the ports first: the server's tags name the step that made them.
func (c *Cloud) adoptVM(ctx context.Context, s *cpi.Step, o *session, args messages.AdoptArgs) (messages.AdoptOutputs, error) {
	server, err := o.getServer(ctx, args.CID)
	if err != nil {
		return messages.AdoptOutputs{}, err
	}
	if gone(server.Status) {
		return messages.AdoptOutputs{}, nil
	}
	has := tagsOf(server.Metadata)
	if err := free("Server", has, args); err != nil {
		return messages.AdoptOutputs{}, err
	}
	if has.Step != "" && has.Step != args.Tags.Step {
		if err := o.adoptPorts(ctx, has.Step, args.Tags.Step); err != nil {
			return messages.AdoptOutputs{}, err
		}
	}
	set := servers.MetadataOpts(metadata(args.Tags))
	if err := classify("tag the server "+args.CID, reads, servers.UpdateMetadata(ctx, o.compute, args.CID, set).Err); err != nil {
		return messages.AdoptOutputs{}, err
	}
	out := messages.AdoptOutputs{Exists: true, Owned: true, Name: server.Name}
	at, err := c.discoverIP(ctx, s, o, messages.VMArgs{VMCID: args.CID})
	if found, ok := at.(messages.DiscoverIPOutputs); ok {
		out.IP, out.ServiceIP = found.IP, found.ServiceIP
	}
	if messages.CodeOf(err) == messages.CodeCloudTransient { // a dead one may have none
		err = nil
	}
	return out, err
}

func (s *session) adoptPorts(ctx context.Context, from, to string) error {
	have, err := s.portsOf(ctx, from)
	if err != nil {
		return err
	}
	for _, p := range have {
		name := portName(to, strings.TrimPrefix(p.Name, portName(from, "")))
		options := ports.UpdateOpts{Name: &name, Description: &to}
		if err := classify("tag the port "+p.ID, reads, ports.Update(ctx, s.network, p.ID, options).Err); err != nil {
			return err
		}
	}
	return nil
}

func (s *session) adoptDisk(ctx context.Context, args messages.AdoptArgs) (messages.AdoptOutputs, error) {
	volume, err := s.getVolume(ctx, args.CID)
	if err != nil {
		return messages.AdoptOutputs{}, err
	}
	if err := free("Volume", tagsOf(volume.Metadata), args); err != nil {
		return messages.AdoptOutputs{}, err
	}
	set := maps.Clone(volume.Metadata)
	if set == nil {
		set = map[string]string{}
	}
	maps.Copy(set, metadata(args.Tags))
	if err := classify("tag the volume "+args.CID, reads, volumes.Update(ctx, s.volume, args.CID, volumes.UpdateOpts{Metadata: set}).Err); err != nil {
		return messages.AdoptOutputs{}, err
	}
	out := messages.AdoptOutputs{Exists: true, Owned: true, Name: volume.Name, SizeMiB: volume.Size * 1024}
	if len(volume.Attachments) > 0 {
		out.AttachedTo, out.Hint = volume.Attachments[0].ServerID, volume.Attachments[0].Device
	}
	return out, nil
}

func (s *session) adoptImage(ctx context.Context, args messages.AdoptArgs) (messages.AdoptOutputs, error) {
	image, err := s.getImage(ctx, args.CID)
	if err != nil {
		return messages.AdoptOutputs{}, err
	}
	has := messages.Tags{Step: stepAmong(image.Tags)}
	has.UID = uidOf(has.Step)
	if err := free("Image", has, args); err != nil {
		return messages.AdoptOutputs{}, err
	}
	set := images.UpdateOpts{images.ReplaceImageTags{NewTags: imageTags(args.Tags)}}
	if err := classify("tag the image "+args.CID, reads, images.Update(ctx, s.image, args.CID, set).Err); err != nil {
		return messages.AdoptOutputs{}, err
	}
	return messages.AdoptOutputs{Exists: true, Owned: true, Name: image.Name}, nil
}

// imageTags are an image's: Glance has tags of one word only.
func imageTags(t messages.Tags) []string { return []string{t.Step, t.UID, t.Deployment} }

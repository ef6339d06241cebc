package openstack

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/gophercloud/gophercloud/v2/openstack/blockstorage/v3/snapshots"
	"github.com/gophercloud/gophercloud/v2/openstack/blockstorage/v3/volumes"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/servers"
	"github.com/gophercloud/gophercloud/v2/openstack/image/v2/images"
	"github.com/gophercloud/gophercloud/v2/openstack/networking/v2/ports"

	"github.com/microbosh/microbosh/pkg/messages"
)

// find lists everything that carries a tag. Listings are filtered here, for a
// cloud that does not know a filter shows everything.
func (c *Cloud) find(ctx context.Context, o *session, args messages.FindArgs) (any, error) {
	if (args.UID == "") == (args.Step == "") {
		return nil, messages.Errorf(messages.CodeMalformed, "find wants the uid of a deployment or a step id, one of them")
	}
	out := messages.FindReply{Resources: []messages.Resource{}}
	add := func(kind, cid, name, status, uid, step string) {
		if (args.Step != "" && step == args.Step) || (args.UID != "" && uid == args.UID) {
			out.Resources = append(out.Resources, messages.Resource{Kind: kind, CID: cid, Name: name, Status: status, Step: step})
		}
	}
	list, err := all(ctx, "list servers", servers.List(o.compute, servers.ListOpts{}), servers.ExtractServers)
	if err != nil {
		return nil, err
	}
	for _, s := range list {
		if !gone(s.Status) {
			add("vm", s.ID, s.Name, s.Status, s.Metadata[tagUID], s.Metadata[tagStep])
		}
	}
	disks, err := all(ctx, "list volumes", volumes.List(o.volume, volumes.ListOpts{}), volumes.ExtractVolumes)
	if err != nil {
		return nil, err
	}
	for _, v := range disks {
		add("disk", v.ID, v.Name, v.Status, v.Metadata[tagUID], v.Metadata[tagStep])
	}
	shots, err := all(ctx, "list snapshots", snapshots.List(o.volume, snapshots.ListOpts{}), snapshots.ExtractSnapshots)
	if err != nil {
		return nil, err
	}
	for _, s := range shots {
		add("snapshot", s.ID, s.Name, s.Status, s.Metadata[tagUID], s.Metadata[tagStep])
	}
	stemcells, err := all(ctx, "list images", images.List(o.image, images.ListOpts{Tags: []string{first(args.UID, args.Step)}}), images.ExtractImages)
	if err != nil {
		return nil, err
	}
	for _, i := range stemcells {
		step := stepAmong(i.Tags)
		add("stemcell", i.ID, i.Name, string(i.Status), uidOf(step), step)
	}
	nics, err := all(ctx, "list ports", ports.List(o.network, ports.ListOpts{}), ports.ExtractPorts)
	if err != nil {
		return nil, err
	}
	for _, p := range nics {
		if uid := uidOf(p.Description); uid != "" {
			add("port", p.ID, p.Name, p.Status, uid, p.Description)
		}
	}
	slices.SortFunc(out.Resources, func(a, b messages.Resource) int {
		return cmp.Or(strings.Compare(a.Kind, b.Kind), strings.Compare(a.Step, b.Step), strings.Compare(a.CID, b.CID))
	})
	return out, nil
}

// stepAmong is the step id among an image's tags.
func stepAmong(tags []string) string {
	for _, t := range tags {
		if uidOf(t) != "" {
			return t
		}
	}
	return ""
}

func uidOf(step string) string {
	uid, _, _, err := messages.ParseStepID(step)
	if err != nil {
		return ""
	}
	return uid
}

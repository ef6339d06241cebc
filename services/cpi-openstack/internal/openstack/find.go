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
	wanted := slices.DeleteFunc([]string{args.UID, args.Step, args.Deployment}, func(s string) bool { return s == "" })
	if len(wanted) != 1 {
		return nil, messages.Errorf(messages.CodeMalformed, "find wants the uid of a deployment, its name, or a step id, one of them")
	}
	out := messages.FindReply{Resources: []messages.Resource{}}
	add := func(kind, cid, name, status string, t messages.Tags) {
		if t.Step != "" && slices.Contains([]string{t.UID, t.Step, t.Deployment}, wanted[0]) {
			out.Resources = append(out.Resources, messages.Resource{Kind: kind, CID: cid, Name: name, Status: status, Step: t.Step})
		}
	}
	list, err := all(ctx, "list servers", servers.List(o.compute, servers.ListOpts{}), servers.ExtractServers)
	if err != nil {
		return nil, err
	}
	for _, s := range list {
		if !gone(s.Status) {
			add(messages.KindVM, s.ID, s.Name, s.Status, tagsOf(s.Metadata))
		}
	}
	disks, err := all(ctx, "list volumes", volumes.List(o.volume, volumes.ListOpts{}), volumes.ExtractVolumes)
	if err != nil {
		return nil, err
	}
	for _, v := range disks {
		add(messages.KindDisk, v.ID, v.Name, v.Status, tagsOf(v.Metadata))
	}
	shots, err := all(ctx, "list snapshots", snapshots.List(o.volume, snapshots.ListOpts{}), snapshots.ExtractSnapshots)
	if err != nil {
		return nil, err
	}
	for _, s := range shots {
		add(messages.KindSnapshot, s.ID, s.Name, s.Status, tagsOf(s.Metadata))
	}
	stemcells, err := all(ctx, "list images", images.List(o.image, images.ListOpts{Tags: wanted}), images.ExtractImages)
	if err != nil {
		return nil, err
	}
	for _, i := range stemcells {
		t := messages.Tags{Step: stepAmong(i.Tags)}
		t.UID = uidOf(t.Step)
		if slices.Contains(i.Tags, args.Deployment) {
			t.Deployment = args.Deployment
		}
		add(messages.KindStemcell, i.ID, i.Name, string(i.Status), t)
	}
	nics, err := all(ctx, "list ports", ports.List(o.network, ports.ListOpts{}), ports.ExtractPorts)
	if err != nil {
		return nil, err
	}
	for _, p := range nics {
		if uid := uidOf(p.Description); uid != "" {
			add(messages.KindPort, p.ID, p.Name, p.Status, messages.Tags{UID: uid, Step: p.Description})
		}
	}
	slices.SortFunc(out.Resources, func(a, b messages.Resource) int {
		return cmp.Or(strings.Compare(a.Kind, b.Kind), strings.Compare(a.Step, b.Step), strings.Compare(a.CID, b.CID))
	})
	return out, nil
}

func tagsOf(metadata map[string]string) messages.Tags {
	return messages.Tags{Deployment: metadata[tagDeployment], UID: metadata[tagUID], Step: metadata[tagStep]}
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

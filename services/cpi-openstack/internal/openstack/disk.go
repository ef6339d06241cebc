package openstack

import (
	"context"
	"math"
	"strings"

	"github.com/gophercloud/gophercloud/v2/openstack/blockstorage/v3/volumes"

	"github.com/microbosh/microbosh/pkg/messages"
	"github.com/microbosh/microbosh/services/cpi-openstack/internal/cpi"
)

const (
	minDisk = 1024
	maxDisk = 1024 * 1000
)

// disk is a volume in the making.
type disk struct {
	session *session
	step    *cpi.Step
	args    messages.CreateDiskArgs
	options volumes.CreateOpts
}

func (c *Cloud) createDisk(ctx context.Context, s *cpi.Step, o *session, args messages.CreateDiskArgs) (any, error) {
	if err := requireTags(s, args.Tags); err != nil {
		return nil, err
	}
	switch {
	case args.SizeMiB < minDisk:
		return nil, invalid("Minimum disk size is 1 GiB")
	case args.SizeMiB > maxDisk:
		return nil, invalid("Maximum disk size is 1 TiB")
	}
	d := &disk{session: o, step: s, args: args}
	cid, err := s.Create(ctx, cpi.Maker{Find: d.find, Prepare: d.prepare, Post: d.post, Remove: d.remove})
	if err != nil {
		return nil, err
	}
	return d.finish(ctx, cid)
}

func (d *disk) find(ctx context.Context) ([]cpi.Found, error) {
	options := volumes.ListOpts{Metadata: map[string]string{tagStep: d.step.ID()}}
	list, err := all(ctx, "list volumes", volumes.List(d.session.volume, options), volumes.ExtractVolumes)
	if err != nil {
		return nil, err
	}
	var found []cpi.Found
	for _, v := range list {
		if v.Metadata[tagStep] == d.step.ID() && v.Status != "deleting" {
			found = append(found, cpi.Found{CID: v.ID, Created: v.CreatedAt})
		}
	}
	return found, nil
}

func (d *disk) prepare(ctx context.Context) error {
	var own struct {
		Type string `json:"type"`
		Zone string `json:"availability_zone"`
	}
	if err := decode("the disk", d.args.CloudProperties, &own); err != nil {
		return err
	}
	if own.Zone == "" && d.args.VMCID != "" && !d.session.OpenStack.IgnoreServerZone {
		server, err := d.session.getServer(ctx, d.args.VMCID)
		if err != nil && !notFound(err) {
			return err
		}
		if err == nil {
			own.Zone = server.AvailabilityZone
		}
	}
	d.options = volumes.CreateOpts{
		Size: int(math.Ceil(float64(d.args.SizeMiB) / 1024)), Name: "volume-" + d.step.ID(),
		Description: "persistent disk of " + d.args.Tags.Deployment, Metadata: metadata(d.args.Tags),
		VolumeType: first(own.Type, d.session.OpenStack.DefaultVolumeType), AvailabilityZone: own.Zone,
	}
	return nil
}

func (d *disk) post(ctx context.Context) (string, error) {
	volume, err := volumes.Create(ctx, d.session.volume, d.options, nil).Extract()
	if err != nil {
		return "", classify("make a volume", writes, err)
	}
	if volume.ID == "" {
		return "", messages.Errorf(messages.CodeCloudAmbiguous, "cannot make a volume: the answer names none")
	}
	return volume.ID, nil
}

func (d *disk) remove(ctx context.Context, cid string) error {
	return d.session.deleteVolume(ctx, cid, d.step.ID())
}

func (d *disk) finish(ctx context.Context, cid string) (any, error) {
	var volume *volumes.Volume
	err := d.session.await(ctx, "Volume `"+cid+"'", "available", func(ctx context.Context) (bool, error) {
		var err error
		if volume, err = d.session.getVolume(ctx, cid); notFound(err) {
			return false, messages.Errorf(messages.CodeCloudTransient, "Volume `%s': Resource not found", cid)
		}
		switch {
		case err != nil:
			return false, err
		case volume.Status == "available":
			return true, nil
		case strings.HasPrefix(volume.Status, "error"):
			failed := messages.Errorf(messages.CodeCloudInvalid, "Volume `%s' state is error, expected available", cid).
				WithHint("the volume was removed; ask the cloud's operator what the volume service logged").WithDetail("cid", cid)
			if err := d.step.Discard(ctx, cid, d.remove); err != nil {
				return false, err
			}
			return false, failed
		}
		d.step.Progress("volume "+cid+" is "+volume.Status, 0, 0)
		return false, d.step.Note(ctx, cid)
	})
	if err != nil {
		return nil, err
	}
	return messages.CreateDiskOutputs{CID: cid, SizeMiB: volume.Size * 1024}, nil
}

func (s *session) getVolume(ctx context.Context, cid string) (*volumes.Volume, error) {
	if err := require("volume", cid); err != nil {
		return nil, err
	}
	volume, err := volumes.Get(ctx, s.volume, cid).Extract()
	if err != nil {
		return nil, classify("read the volume "+cid, reads, err)
	}
	return volume, nil
}

// leaving tells whether a volume is being deleted, so that a refused repeat of
// the request is no failure.
func (s *session) leaving(ctx context.Context, cid string) bool {
	volume, err := s.getVolume(ctx, cid)
	return notFound(err) || (err == nil && volume.Status == "deleting")
}

func (c *Cloud) deleteDisk(ctx context.Context, _ *cpi.Step, o *session, args messages.DeleteDiskArgs) (any, error) {
	for what, id := range map[string]string{"disk": args.DiskCID, "owner": args.Owner} {
		if err := require(what, id); err != nil {
			return nil, err
		}
	}
	return nil, o.deleteVolume(ctx, args.DiskCID, args.Owner)
}

// deleteVolume removes a volume that its owner made, and waits until it is
// gone. An absent one is no error; one that is attached is not touched.
func (s *session) deleteVolume(ctx context.Context, cid, owner string) error {
	volume, err := s.getVolume(ctx, cid)
	if notFound(err) {
		return nil
	}
	if err != nil {
		return err
	}
	if !s.owns(volume.Metadata[tagStep], owner) {
		return foreign("Volume", cid, owner)
	}
	switch status := volume.Status; {
	case status == "deleting":
	case status == "creating" || status == "detaching":
		return messages.Errorf(messages.CodeCloudTransient, "Cannot delete volume `%s', state is %s", cid, status)
	case status != "available" && !strings.HasPrefix(status, "error"):
		return messages.Errorf(messages.CodeCloudConflict, "Cannot delete volume `%s', state is %s", cid, status).
			WithHint("detach it first")
	default:
		err := classify("delete the volume "+cid, reads, volumes.Delete(ctx, s.volume, cid, volumes.DeleteOpts{}).ExtractErr())
		if err != nil && !notFound(err) && !s.leaving(ctx, cid) {
			return err
		}
	}
	return s.await(ctx, "Volume `"+cid+"'", "deleted", func(ctx context.Context) (bool, error) {
		volume, err := s.getVolume(ctx, cid)
		if notFound(err) {
			return true, nil
		}
		if err == nil && volume.Status == "error_deleting" {
			err = messages.Errorf(messages.CodeCloudInvalid, "Volume `%s' state is error_deleting", cid).WithHint("ask the cloud's operator to remove it")
		}
		return false, err
	})
}

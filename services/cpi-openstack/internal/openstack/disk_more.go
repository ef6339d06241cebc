package openstack

import (
	"context"
	"strings"

	"github.com/gophercloud/gophercloud/v2/openstack/blockstorage/v3/volumes"

	"github.com/microbosh/microbosh/pkg/messages"
	"github.com/microbosh/microbosh/services/cpi-openstack/internal/cpi"
)

// hasDisk tells whether a volume exists and is not on its way out.
func (c *Cloud) hasDisk(ctx context.Context, o *session, args messages.DiskOnlyArgs) (any, error) {
	if err := require("disk", args.DiskCID); err != nil {
		return nil, err
	}
	volume, err := o.getVolume(ctx, args.DiskCID)
	if notFound(err) {
		return false, nil
	}
	if err != nil {
		return nil, err
	}
	return volume.Status != "deleting", nil
}

// setDiskMetadata adds to the volume's metadata, whose tags stay.
func (c *Cloud) setDiskMetadata(ctx context.Context, _ *cpi.Step, o *session, args messages.SetDiskMetadataArgs) (any, error) {
	volume, err := o.diskFor(ctx, args.DiskCID)
	if err != nil {
		return nil, err
	}
	set := map[string]string{}
	for key, value := range volume.Metadata {
		set[key] = value
	}
	for key, value := range args.Metadata {
		switch key {
		case tagDeployment, tagUID, tagStep: // say whose it is, from its create on
		default:
			set[clip(key)] = clip(value)
		}
	}
	options := volumes.UpdateOpts{Metadata: set}
	return nil, classify("write the metadata of "+args.DiskCID, reads, volumes.Update(ctx, o.volume, args.DiskCID, options).Err)
}

// diskFor reads the volume that a command names.
func (s *session) diskFor(ctx context.Context, cid string) (*volumes.Volume, error) {
	if err := require("disk", cid); err != nil {
		return nil, err
	}
	volume, err := s.getVolume(ctx, cid)
	if notFound(err) {
		return nil, messages.Errorf(messages.CodeCloudNotFound, "Volume `%s' not found", cid)
	}
	return volume, err
}

func (c *Cloud) resizeDisk(ctx context.Context, s *cpi.Step, o *session, args messages.ResizeDiskArgs) (any, error) {
	volume, err := o.diskFor(ctx, args.DiskCID)
	if err != nil {
		return nil, err
	}
	return nil, o.resize(ctx, s, volume, args.SizeMiB)
}

// resize grows a detached volume, and waits until it has grown.
func (s *session) resize(ctx context.Context, step *cpi.Step, volume *volumes.Volume, mib int) error {
	size, cid := gibibytes(mib), volume.ID
	switch {
	case mib < minDisk:
		return invalid("Minimum disk size is 1 GiB")
	case mib > maxDisk:
		return invalid("Maximum disk size is 1 TiB")
	case size < volume.Size:
		return messages.Errorf(messages.CodeNotSupported, "Cannot resize volume `%s' from %d GiB to %d GiB: a volume cannot shrink", cid, volume.Size, size).
			WithHint("make a new disk and have its data moved")
	case size == volume.Size && volume.Status != "extending":
		return nil
	case volume.Status == "in-use":
		return messages.Errorf(messages.CodeCloudConflict, "Cannot resize volume `%s', it is attached", cid).WithHint("detach it first")
	case volume.Status == "available":
		err := volumes.ExtendSize(ctx, s.volume, cid, volumes.ExtendSizeOpts{NewSize: size}).ExtractErr()
		if err := classify("resize the volume "+cid, reads, err); err != nil {
			return err
		}
	}
	return s.await(ctx, "Volume `"+cid+"'", "available", func(ctx context.Context) (bool, error) {
		now, err := s.getVolume(ctx, cid)
		if err != nil {
			return false, err
		}
		if strings.HasPrefix(now.Status, "error") {
			return false, messages.Errorf(messages.CodeCloudInvalid, "Volume `%s' state is %s, expected available", cid, now.Status).
				WithHint("ask the cloud's operator what the volume service logged")
		}
		step.Progress("volume "+cid+" is "+now.Status, 0, 0)
		return now.Status == "available" && now.Size >= size, nil
	})
}

// updateDisk changes type and size. Where the cloud cannot, it says so, and the
// Director makes another disk and moves the data.
func (c *Cloud) updateDisk(ctx context.Context, s *cpi.Step, o *session, args messages.UpdateDiskArgs) (any, error) {
	volume, err := o.diskFor(ctx, args.DiskCID)
	if err != nil {
		return nil, err
	}
	var own struct {
		Type string `json:"type"`
	}
	if err := decode("the disk", args.CloudProperties, &own); err != nil {
		return nil, err
	}
	if kind := first(own.Type, volume.VolumeType); kind != volume.VolumeType {
		options := volumes.ChangeTypeOpts{NewType: kind, MigrationPolicy: volumes.MigrationPolicyOnDemand}
		err := classify("change the type of the volume "+args.DiskCID, reads, volumes.ChangeType(ctx, o.volume, args.DiskCID, options).ExtractErr())
		if hasCode(err, messages.CodeCloudInvalid) {
			return nil, messages.Errorf(messages.CodeNotSupported, "%w", err).WithHint("the cloud cannot change this volume's type; make a new disk and have its data moved")
		}
		if err != nil {
			return nil, err
		}
		err = o.await(ctx, "Volume `"+args.DiskCID+"'", kind, func(ctx context.Context) (bool, error) {
			volume, err = o.getVolume(ctx, args.DiskCID)
			return err == nil && volume.VolumeType == kind && volume.Status != "retyping", err
		})
		if err != nil {
			return nil, err
		}
	}
	if args.SizeMiB == 0 {
		return nil, nil
	}
	return nil, o.resize(ctx, s, volume, args.SizeMiB)
}

package openstack

import (
	"context"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/gophercloud/gophercloud/v2/openstack/blockstorage/v3/volumes"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/flavors"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/servers"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/volumeattach"

	"github.com/microbosh/microbosh/pkg/messages"
	"github.com/microbosh/microbosh/services/cpi-openstack/internal/cpi"
)

func (c *Cloud) attachDisk(ctx context.Context, s *cpi.Step, o *session, args messages.DiskArgs) (any, error) {
	if err := requireDisk(args); err != nil {
		return nil, err
	}
	server, err := o.getServer(ctx, args.VMCID)
	if notFound(err) {
		return nil, messages.Errorf(messages.CodeCloudNotFound, "Server `%s' not found", args.VMCID)
	}
	if err != nil {
		return nil, err
	}
	device, err := o.attach(ctx, s, server, args.DiskCID)
	if err != nil {
		return nil, err
	}
	if args.VMName == "" && o.trusting {
		args.VMName = server.Name
	}
	if args.VMName != "" {
		if err := c.registry.setDisk(ctx, args.VMName, args.DiskCID, device, addressesOf(server, "fixed")); err != nil {
			return nil, err
		}
	}
	return messages.AttachDiskOutputs{Hint: device}, nil
}

func requireDisk(args messages.DiskArgs) error {
	if err := require("VM", args.VMCID); err != nil {
		return err
	}
	return require("disk", args.DiskCID)
}

// attach attaches the volume unless it is, and gives its device once it is in
// use.
func (s *session) attach(ctx context.Context, step *cpi.Step, server *servers.Server, disk string) (string, error) {
	have, err := s.attachments(ctx, server.ID)
	if err != nil {
		return "", err
	}
	if !attachedIn(have, disk) {
		if err := s.plug(ctx, server, disk, have); err != nil {
			return "", err
		}
	}
	var device string
	err = s.await(ctx, "Volume `"+disk+"'", "in-use", func(ctx context.Context) (bool, error) {
		volume, err := s.getVolume(ctx, disk)
		if err != nil {
			return false, err
		}
		if strings.HasPrefix(volume.Status, "error") {
			return false, messages.Errorf(messages.CodeCloudInvalid, "Volume `%s' state is %s, expected in-use", disk, volume.Status).WithDetail("cid", disk)
		}
		step.Progress("volume "+disk+" is "+volume.Status, 0, 0)
		if volume.Status != "in-use" {
			return false, nil
		}
		have, err := s.attachments(ctx, server.ID)
		i := slices.IndexFunc(have, func(a volumeattach.VolumeAttachment) bool { return a.VolumeID == disk })
		if err != nil || i < 0 {
			return false, err
		}
		device = have[i].Device
		return device != "", nil
	})
	return device, err
}

// plug sends the request. One that is refused because its repeat was faster is
// no failure.
func (s *session) plug(ctx context.Context, server *servers.Server, disk string, have []volumeattach.VolumeAttachment) error {
	if err := s.checkFree(ctx, disk, server.ID); err != nil {
		return err
	}
	device, err := s.freeDevice(ctx, server, have)
	if err != nil {
		return err
	}
	options := volumeattach.CreateOpts{VolumeID: disk, Device: device}
	err = classify("attach the volume "+disk, writes, volumeattach.Create(ctx, s.compute, server.ID, options).Err)
	if !hasCode(err, messages.CodeCloudInvalid) && !hasCode(err, messages.CodeCloudConflict) {
		return err
	}
	have, again := s.attachments(ctx, server.ID)
	if again == nil && attachedIn(have, disk) {
		return nil
	}
	return err
}

func attachedIn(list []volumeattach.VolumeAttachment, disk string) bool {
	return slices.ContainsFunc(list, func(a volumeattach.VolumeAttachment) bool { return a.VolumeID == disk })
}

// checkFree refuses a volume that is missing or another server's, in words.
func (s *session) checkFree(ctx context.Context, disk, serverID string) error {
	volume, err := s.getVolume(ctx, disk)
	if notFound(err) {
		return messages.Errorf(messages.CodeCloudNotFound, "Volume `%s' not found", disk)
	}
	if err != nil {
		return err
	}
	for _, a := range volume.Attachments {
		if a.ServerID != serverID && a.ServerID != "" {
			if volume.Status == "detaching" {
				return messages.Errorf(messages.CodeCloudTransient, "Volume `%s' is still leaving server %s", disk, a.ServerID)
			}
			return messages.Errorf(messages.CodeCloudConflict, "Volume `%s' is attached to server %s", disk, a.ServerID).
				WithHint("detach it there first: openstack server remove volume %s %s", a.ServerID, disk)
		}
	}
	if volume.Status != "available" {
		return messages.Errorf(messages.CodeCloudTransient, "Volume `%s' is %s, not available yet", disk, volume.Status)
	}
	return nil
}

func (s *session) attachments(ctx context.Context, serverID string) ([]volumeattach.VolumeAttachment, error) {
	return all(ctx, "list the volumes of "+serverID, volumeattach.List(s.compute, serverID), volumeattach.ExtractVolumeAttachments)
}

// freeDevice is the first device name that no attached volume has, behind those
// of the flavor's own disks. Hypervisors that name devices themselves ignore
// it, so sd, vd and xvd are one.
func (s *session) freeDevice(ctx context.Context, server *servers.Server, have []volumeattach.VolumeAttachment) (string, error) {
	letter := 'b'
	if id, ok := server.Flavor["id"].(string); ok {
		flavor, err := flavors.Get(ctx, s.compute, id).Extract()
		if err := classify("read the flavor "+id, reads, err); err != nil && !notFound(err) {
			return "", err
		}
		if err == nil && flavor.Ephemeral > 0 {
			letter++
		}
		if err == nil && flavor.Swap > 0 {
			letter++
		}
	}
	if s.OpenStack.ConfigDrive == "disk" {
		letter++
	}
	for ; letter <= 'z'; letter++ {
		taken := slices.ContainsFunc(have, func(a volumeattach.VolumeAttachment) bool {
			base := path.Base(a.Device)
			return slices.Contains([]string{"sd", "vd", "xvd"}, strings.TrimSuffix(base, string(letter))) && strings.HasSuffix(base, string(letter))
		})
		if !taken {
			return fmt.Sprintf("/dev/sd%c", letter), nil
		}
	}
	return "", messages.Errorf(messages.CodeCloudInvalid, "Server has too many disks attached")
}

func (c *Cloud) detachDisk(ctx context.Context, s *cpi.Step, o *session, args messages.DiskArgs) (any, error) {
	if err := requireDisk(args); err != nil {
		return nil, err
	}
	server, err := o.getServer(ctx, args.VMCID)
	if err != nil && !notFound(err) {
		return nil, err
	}
	if err == nil {
		if err := o.detach(ctx, s, args); err != nil {
			return nil, err
		}
		if args.VMName == "" && o.trusting {
			args.VMName = server.Name
		}
		if args.VMName != "" {
			return nil, c.registry.setDisk(ctx, args.VMName, args.DiskCID, "", addressesOf(server, "fixed"))
		}
	}
	return nil, nil
}

func (s *session) detach(ctx context.Context, step *cpi.Step, args messages.DiskArgs) error {
	have, err := s.attachments(ctx, args.VMCID)
	if err != nil {
		return err
	}
	volume, err := s.getVolume(ctx, args.DiskCID)
	if err != nil && !notFound(err) {
		return err
	}
	if attachedIn(have, args.DiskCID) && (volume == nil || volume.Status != "detaching") {
		err := classify("detach the volume "+args.DiskCID, reads, volumeattach.Delete(ctx, s.compute, args.VMCID, args.DiskCID).ExtractErr())
		if err != nil && !notFound(err) && !s.detaching(ctx, args.DiskCID) {
			return err
		}
	}
	return s.await(ctx, "Volume `"+args.DiskCID+"'", "available", func(ctx context.Context) (bool, error) {
		volume, err := s.getVolume(ctx, args.DiskCID)
		if notFound(err) {
			return true, nil
		}
		if err != nil {
			return false, err
		}
		if strings.HasPrefix(volume.Status, "error") {
			return false, messages.Errorf(messages.CodeCloudInvalid, "Volume `%s' state is %s, expected available", args.DiskCID, volume.Status).
				WithHint("ask the cloud's operator to reset its state, then run the same command again").WithDetail("cid", args.DiskCID)
		}
		elsewhere := len(volume.Attachments) > 0 && !slices.ContainsFunc(volume.Attachments, func(a volumes.Attachment) bool { return a.ServerID == args.VMCID })
		step.Progress("volume "+args.DiskCID+" is "+volume.Status, 0, 0)
		return volume.Status == "available" || elsewhere, nil
	})
}

// detaching tells whether a volume is leaving its server or has left, so that a
// refused repeat of the request is no failure.
func (s *session) detaching(ctx context.Context, cid string) bool {
	volume, err := s.getVolume(ctx, cid)
	return notFound(err) || (err == nil && (volume.Status == "detaching" || volume.Status == "available"))
}

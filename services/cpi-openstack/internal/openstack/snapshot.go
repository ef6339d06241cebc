package openstack

import (
	"context"
	"fmt"
	"path"
	"strings"

	"github.com/gophercloud/gophercloud/v2/openstack/blockstorage/v3/snapshots"

	"github.com/microbosh/microbosh/pkg/messages"
	"github.com/microbosh/microbosh/services/cpi-openstack/internal/cpi"
)

// shot is a snapshot in the making.
type shot struct {
	session *session
	step    *cpi.Step
	args    messages.SnapshotDiskArgs
	options snapshots.CreateOpts
}

func (c *Cloud) snapshotDisk(ctx context.Context, s *cpi.Step, o *session, args messages.SnapshotDiskArgs) (any, error) {
	if err := requireTags(s, args.Tags); err != nil {
		return nil, err
	}
	if err := require("disk", args.DiskCID); err != nil {
		return nil, err
	}
	h := &shot{session: o, step: s, args: args}
	cid, err := s.Create(ctx, cpi.Maker{Find: h.find, Prepare: h.prepare, Post: h.post, Remove: h.remove})
	if err != nil {
		return nil, err
	}
	if err := h.finish(ctx, cid); err != nil {
		return nil, err
	}
	return messages.SnapshotDiskOutputs{CID: cid}, nil
}

func (h *shot) name() string { return "snapshot-" + h.step.ID() }

// find lists by name, which was made of the step id.
func (h *shot) find(ctx context.Context) ([]cpi.Found, error) {
	list, err := all(ctx, "list snapshots", snapshots.List(h.session.volume, snapshots.ListOpts{Name: h.name()}), snapshots.ExtractSnapshots)
	if err != nil {
		return nil, err
	}
	var found []cpi.Found
	for _, s := range list {
		if s.Metadata[tagStep] == h.step.ID() && s.Status != "deleting" {
			found = append(found, cpi.Found{CID: s.ID, Created: s.CreatedAt})
		}
	}
	return found, nil
}

// prepare writes the description that BOSH's CPIs do: deployment/job/index, and
// the device where it is attached.
func (h *shot) prepare(ctx context.Context) error {
	volume, err := h.session.diskFor(ctx, h.args.DiskCID)
	if err != nil {
		return err
	}
	set := metadata(h.args.Tags)
	for key, value := range h.args.Metadata {
		if _, ours := set[key]; !ours {
			set[clip(key)] = clip(value)
		}
	}
	about := []string{first(h.args.Metadata["deployment"], h.args.Tags.Deployment)}
	for _, key := range []string{"job", "index"} {
		if value := h.args.Metadata[key]; value != "" {
			about = append(about, value)
		}
	}
	if len(volume.Attachments) > 0 && volume.Attachments[0].Device != "" {
		about = append(about, path.Base(volume.Attachments[0].Device))
	}
	h.options = snapshots.CreateOpts{
		VolumeID: h.args.DiskCID, Name: h.name(), Description: clip(strings.Join(about, "/")), Metadata: set,
		Force: true, // while it is attached, too
	}
	return nil
}

func (h *shot) post(ctx context.Context) (string, error) {
	snapshot, err := snapshots.Create(ctx, h.session.volume, h.options).Extract()
	if err != nil {
		return "", classify("snapshot the volume "+h.args.DiskCID, writes, err)
	}
	if snapshot.ID == "" {
		return "", messages.Errorf(messages.CodeCloudAmbiguous, "cannot snapshot the volume %s: the answer names none", h.args.DiskCID)
	}
	return snapshot.ID, nil
}

func (h *shot) remove(ctx context.Context, cid string) error {
	return h.session.removeSnapshot(ctx, cid, h.step.ID())
}

func (h *shot) finish(ctx context.Context, cid string) error {
	return h.session.await(ctx, "Snapshot `"+cid+"'", "available", func(ctx context.Context) (bool, error) {
		snapshot, err := h.session.getSnapshot(ctx, cid)
		if notFound(err) {
			return false, messages.Errorf(messages.CodeCloudTransient, "Snapshot `%s': Resource not found", cid)
		}
		switch {
		case err != nil:
			return false, err
		case snapshot.Status == "available":
			return true, nil
		case strings.HasPrefix(snapshot.Status, "error"):
			failed := messages.Errorf(messages.CodeCloudInvalid, "Snapshot `%s' state is error, expected available", cid).
				WithHint("the snapshot was removed; ask the cloud's operator what the volume service logged").WithDetail("cid", cid)
			if err := h.step.Discard(ctx, cid, h.remove); err != nil {
				return false, err
			}
			return false, failed
		}
		h.step.Progress(fmt.Sprintf("snapshot %s is %s", cid, snapshot.Status), 0, 0)
		return false, h.step.Note(ctx, cid)
	})
}

func (s *session) getSnapshot(ctx context.Context, cid string) (*snapshots.Snapshot, error) {
	snapshot, err := snapshots.Get(ctx, s.volume, cid).Extract()
	if err != nil {
		return nil, classify("read the snapshot "+cid, reads, err)
	}
	return snapshot, nil
}

func (c *Cloud) deleteSnapshot(ctx context.Context, _ *cpi.Step, o *session, args messages.DeleteSnapshotArgs) (any, error) {
	for what, id := range map[string]string{"snapshot": args.CID, "owner": args.Owner} {
		if err := require(what, id); err != nil {
			return nil, err
		}
	}
	return nil, o.removeSnapshot(ctx, args.CID, args.Owner)
}

// removeSnapshot removes a snapshot that its owner made, and waits until it is
// gone. An absent one is no error.
func (s *session) removeSnapshot(ctx context.Context, cid, owner string) error {
	snapshot, err := s.getSnapshot(ctx, cid)
	if notFound(err) {
		return nil
	}
	if err != nil {
		return err
	}
	if !s.owns(snapshot.Metadata[tagStep], owner) {
		return foreign("Snapshot", cid, owner)
	}
	switch status := snapshot.Status; {
	case status == "deleting":
	case status == "creating":
		return messages.Errorf(messages.CodeCloudTransient, "Cannot delete snapshot `%s', state is %s", cid, status)
	case status != "available" && !strings.HasPrefix(status, "error"):
		return messages.Errorf(messages.CodeCloudConflict, "Cannot delete snapshot `%s', state is %s", cid, status)
	default:
		err := classify("delete the snapshot "+cid, reads, snapshots.Delete(ctx, s.volume, cid).ExtractErr())
		if err != nil && !notFound(err) {
			if now, again := s.getSnapshot(ctx, cid); !notFound(again) && (again != nil || now.Status != "deleting") {
				return err
			}
		}
	}
	return s.await(ctx, "Snapshot `"+cid+"'", "deleted", func(ctx context.Context) (bool, error) {
		snapshot, err := s.getSnapshot(ctx, cid)
		if notFound(err) {
			return true, nil
		}
		if err == nil && snapshot.Status == "error_deleting" {
			err = messages.Errorf(messages.CodeCloudInvalid, "Snapshot `%s' state is error_deleting", cid).WithHint("ask the cloud's operator to remove it")
		}
		return false, err
	})
}

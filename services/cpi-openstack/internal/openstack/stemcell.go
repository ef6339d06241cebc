package openstack

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"

	"github.com/google/uuid"
	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack/image/v2/imagedata"
	"github.com/gophercloud/gophercloud/v2/openstack/image/v2/images"

	"github.com/microbosh/microbosh/pkg/messages"
	"github.com/microbosh/microbosh/pkg/stemcell"
	"github.com/microbosh/microbosh/services/cpi-openstack/internal/cpi"
)

// imageProperties of a stemcell are passed on to Glance.
var imageProperties = [...]string{
	"name", "version", "os_type", "os_distro", "architecture", "auto_disk_config", "hw_vif_model", "hw_disk_bus", "hw_disk_bus_model",
	"hw_scsi_model", "hw_vif_multiqueue_enabled", "hypervisor_type", "vmware_adaptertype", "vmware_disktype", "vmware_linked_clone", "vmware_ostype",
}

// imageID is the one id that a step's image can have: Glance takes none twice.
func imageID(step string) string {
	return uuid.NewSHA1(uuid.NameSpaceURL, []byte("https://microbosh.dev/step/"+step)).String()
}

// upload is an image in the making.
type upload struct {
	session  *session
	bus      Bus
	step     *cpi.Step
	args     messages.CreateStemcellArgs
	stemcell *stemcell.Stemcell
	about    map[string]any // cloud_properties
}

func (c *Cloud) createStemcell(ctx context.Context, s *cpi.Step, o *session, args messages.CreateStemcellArgs) (any, error) {
	if err := requireTags(s, args.Tags); err != nil {
		return nil, err
	}
	u := &upload{session: o, bus: c.bus, step: s, args: args, about: map[string]any{}}
	if err := decode("the stemcell", args.Stemcell.CloudProperties, &u.about); err != nil {
		return nil, err
	}
	if light := first(args.Stemcell.CID, text(u.about["image_id"])); light != "" {
		return u.existing(ctx, light)
	}
	cid, err := s.Create(ctx, cpi.Maker{Find: u.find, Prepare: u.open, Post: u.post, Remove: u.remove, Fenced: true})
	if err != nil {
		return nil, err
	}
	if err := u.fill(ctx, cid); err != nil {
		return nil, err
	}
	return messages.CreateStemcellOutputs{CID: cid, Uploaded: true}, nil
}

// existing uses an image that the cloud has.
func (u *upload) existing(ctx context.Context, id string) (any, error) {
	image, err := u.session.getImage(ctx, id)
	if notFound(err) {
		return nil, messages.Errorf(messages.CodeCloudNotFound, "Image `%s' not found", id).WithHint("openstack image list shows which there are")
	}
	if err != nil {
		return nil, err
	}
	if image.Status != images.ImageStatusActive {
		return nil, messages.Errorf(messages.CodeCloudInvalid, "Image `%s' is %s, not active", id, image.Status)
	}
	return messages.CreateStemcellOutputs{CID: id}, nil
}

func (u *upload) find(ctx context.Context) ([]cpi.Found, error) {
	image, err := u.session.getImage(ctx, imageID(u.step.ID()))
	if notFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if !slices.Contains(image.Tags, u.step.ID()) {
		return nil, foreign("Image", image.ID, u.step.ID())
	}
	if image.Status == images.ImageStatusDeleted || image.Status == images.ImageStatusPendingDelete {
		return nil, nil
	}
	return []cpi.Found{{CID: image.ID, Created: image.CreatedAt}}, nil
}

func (u *upload) post(ctx context.Context) (string, error) {
	visibility := images.ImageVisibilityPrivate
	if u.session.OpenStack.StemcellPublic {
		visibility = images.ImageVisibilityPublic
	}
	options := images.CreateOpts{
		ID: imageID(u.step.ID()), Name: u.imageName(), Visibility: &visibility, Tags: imageTags(u.args.Tags),
		DiskFormat: first(text(u.about["disk_format"]), "raw"), ContainerFormat: first(text(u.about["container_format"]), "bare"),
		Properties: map[string]string{},
	}
	for _, key := range imageProperties {
		if value := text(u.about[key]); value != "" && key != "name" {
			options.Properties[key] = value
		}
	}
	if kind := text(u.about["hypervisor"]); kind != "" && options.Properties["hypervisor_type"] == "" {
		options.Properties["hypervisor_type"] = kind
	}
	image, err := images.Create(ctx, u.session.image, options).Extract()
	if gophercloud.ResponseCodeIs(err, http.StatusConflict) {
		return u.taken(ctx, options.ID)
	}
	if err != nil {
		return "", classify("make the image", writes, err)
	}
	return image.ID, nil
}

// taken tells a repeat of our own request from an id that is burnt.
func (u *upload) taken(ctx context.Context, id string) (string, error) {
	found, err := u.find(ctx)
	if err != nil {
		return "", err
	}
	if len(found) == 0 {
		return "", messages.Errorf(messages.CodeCloudConflict, "the image id %s was used and deleted; Glance takes none twice", id).
			WithHint("run the same command again: it uses another id")
	}
	return found[0].CID, nil
}

func (u *upload) imageName() string {
	name, version := first(text(u.about["name"]), u.args.Stemcell.Name), first(text(u.about["version"]), u.args.Stemcell.Version)
	if name == "" {
		return "BOSH-" + imageID(u.step.ID())
	}
	return fmt.Sprintf("%s/%s", name, version)
}

func (u *upload) remove(ctx context.Context, cid string) error {
	return u.session.deleteImage(ctx, cid, u.step.ID())
}

// fill uploads the data unless they are there, and waits until the image is
// active. Only the waiting is bound by the cloud's state_timeout.
func (u *upload) fill(ctx context.Context, cid string) error {
	status, err := u.status(ctx, cid)
	if err != nil {
		return err
	}
	if status == images.ImageStatusQueued {
		if err := u.step.Note(ctx, cid); err != nil {
			return err
		}
		if err := u.send(ctx, cid); err != nil {
			return err
		}
	}
	return u.session.await(ctx, "Image `"+cid+"'", "active", func(ctx context.Context) (bool, error) {
		status, err := u.status(ctx, cid)
		if err != nil || status == images.ImageStatusActive {
			return err == nil, err
		}
		if status == images.ImageStatusQueued {
			return false, messages.Errorf(messages.CodeCloudTransient, "Image `%s' lost its data on the way", cid)
		}
		u.step.Progress(fmt.Sprintf("image %s is %s", cid, status), 0, 0)
		return false, nil
	})
}

// status reads the image's; one that came to nothing is removed.
func (u *upload) status(ctx context.Context, cid string) (images.ImageStatus, error) {
	image, err := u.session.getImage(ctx, cid)
	if notFound(err) {
		return "", messages.Errorf(messages.CodeCloudTransient, "Image `%s': Resource not found", cid)
	}
	if err != nil {
		return "", err
	}
	switch image.Status {
	case images.ImageStatusKilled, images.ImageStatusDeleted, images.ImageStatusPendingDelete, images.ImageStatusDeactivated:
		failed := messages.Errorf(messages.CodeCloudInvalid, "Image `%s' state is %s, expected active", cid, image.Status).
			WithHint("run the same command again: it uploads another image").WithDetail("cid", cid)
		if err := u.step.Discard(ctx, cid, u.remove); err != nil {
			return "", err
		}
		return "", failed
	}
	return image.Status, nil
}

// send uploads the data. That somebody else is uploading already is no error:
// the image's state tells how it went.
func (u *upload) send(ctx context.Context, cid string) error {
	if err := u.open(ctx); err != nil {
		return err
	}
	body := &imageBody{ctx: ctx, upload: u}
	err := imagedata.Upload(ctx, u.session.image, cid, body).ExtractErr()
	body.close()
	switch failed := body.failure(); {
	case failed != nil:
		err = failed
	case gophercloud.ResponseCodeIs(err, http.StatusConflict):
		return nil
	default:
		err = classify("upload the image "+cid, reads, err)
	}
	if err == nil || cpi.Transient(err) || ctx.Err() != nil {
		return err
	}
	if discard := u.step.Discard(ctx, cid, u.remove); discard != nil {
		return discard
	}
	return err
}

// text is a scalar of a manifest as Glance wants it.
func text(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return v
	case bool, float64, int, int64, json.Number:
		return fmt.Sprint(v)
	}
	return ""
}

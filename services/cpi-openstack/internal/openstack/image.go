package openstack

import (
	"context"
	"slices"

	"github.com/gophercloud/gophercloud/v2/openstack/image/v2/images"

	"github.com/microbosh/microbosh/pkg/messages"
	"github.com/microbosh/microbosh/services/cpi-openstack/internal/cpi"
)

func (s *session) getImage(ctx context.Context, id string) (*images.Image, error) {
	if err := require("image", id); err != nil {
		return nil, err
	}
	image, err := images.Get(ctx, s.image, id).Extract()
	if err != nil {
		return nil, classify("read the image "+id, reads, err)
	}
	return image, nil
}

func (c *Cloud) deleteStemcell(ctx context.Context, _ *cpi.Step, o *session, args messages.DeleteStemcellArgs) (any, error) {
	for what, id := range map[string]string{"stemcell": args.CID, "owner": args.Owner} {
		if err := require(what, id); err != nil {
			return nil, err
		}
	}
	return nil, o.deleteImage(ctx, args.CID, args.Owner)
}

// deleteImage removes an image that its owner uploaded. An absent one is no
// error.
func (s *session) deleteImage(ctx context.Context, cid, owner string) error {
	image, err := s.getImage(ctx, cid)
	if notFound(err) {
		return nil
	}
	if err != nil {
		return err
	}
	if !s.trusting && !slices.Contains(image.Tags, owner) {
		return foreign("Image", cid, owner)
	}
	err = classify("delete the image "+cid, reads, images.Delete(ctx, s.image, cid).ExtractErr())
	if notFound(err) {
		return nil
	}
	return err
}

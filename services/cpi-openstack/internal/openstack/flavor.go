package openstack

import (
	"context"
	"slices"

	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/flavors"

	"github.com/microbosh/microbosh/pkg/messages"
)

func (s *session) findFlavor(ctx context.Context, name string) (flavors.Flavor, error) {
	list, err := all(ctx, "list flavors", flavors.ListDetail(s.compute, flavors.ListOpts{AccessType: flavors.AllAccess}), flavors.ExtractFlavors)
	if err != nil {
		return flavors.Flavor{}, err
	}
	i := slices.IndexFunc(list, func(f flavors.Flavor) bool { return f.Name == name })
	if i < 0 {
		return flavors.Flavor{}, messages.Errorf(messages.CodeCloudNotFound, "Flavor `%s' not found", name).
			WithHint("set resources.cloud_properties.instance_type to one that `openstack flavor list` shows")
	}
	f := list[i]
	if need := f.RAM / 1024 * 2; f.Ephemeral > 0 && f.Ephemeral < need {
		return f, invalid("Flavor `%s' should have at least %dGb of ephemeral disk", name, need)
	}
	return f, nil
}

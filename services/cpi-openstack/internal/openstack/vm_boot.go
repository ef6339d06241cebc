package openstack

import (
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/flavors"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/servers"
)

// bootDisk has the server boot from a volume of its own, which goes with it,
// when the VM or else the cloud says so.
func (v *vm) bootDisk(options *servers.CreateOpts, flavor flavors.Flavor) error {
	wanted := v.session.OpenStack.BootFromVolume
	if v.own.BootFromVolume != nil {
		wanted = *v.own.BootFromVolume
	}
	if !wanted {
		return nil
	}
	size := v.own.RootDisk.Size
	if size == 0 {
		size = flavor.Disk
	}
	if size <= 0 {
		return invalid("Flavor `%s' has a root disk size of 0. Either pick a different flavor or define root_disk.size in your VM cloud_properties", flavor.Name)
	}
	options.BlockDevice = []servers.BlockDevice{{
		SourceType: servers.SourceImage, UUID: options.ImageRef, DestinationType: servers.DestinationVolume, VolumeSize: size, DeleteOnTermination: true,
	}}
	options.ImageRef = ""
	return nil
}

// hints are the VM's scheduler_hints, passed on as they are.
type hints map[string]any

// ToSchedulerHintsMap gives what stands beside the server in the request.
func (h hints) ToSchedulerHintsMap() (map[string]any, error) {
	if len(h) == 0 {
		return map[string]any{}, nil
	}
	return map[string]any{"os:scheduler_hints": map[string]any(h)}, nil
}

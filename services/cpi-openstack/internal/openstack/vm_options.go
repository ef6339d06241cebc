package openstack

import (
	"hash/fnv"
	"net/netip"

	"github.com/microbosh/microbosh/pkg/messages"
)

// choose checks what a VM's properties mean together, and settles what they
// leave open.
func (v *vm) choose() error {
	o := v.session.OpenStack
	if len(v.networks.private) > 1 {
		if o.ConfigDrive == "" || o.UseDHCP == nil || *o.UseDHCP {
			return invalid("Multiple dynamic or manual networks can only be used with 'openstack.use_dhcp=false' and 'openstack.config_drive=cdrom|disk'")
		}
		for _, n := range v.networks.private {
			if n.NetID == "" {
				return invalid("the network `%s' must have net_id when there are several", n.name)
			}
		}
	}
	if err := v.chooseZone(); err != nil {
		return err
	}
	return v.share()
}

// chooseZone takes one of several zones: another one for each use of the step,
// so that who tries again after a failure gets the next.
func (v *vm) chooseZone() error {
	zones := v.own.Zones
	switch {
	case len(zones) == 0:
		return nil
	case v.own.AvailabilityZone != "":
		return invalid("Can not use both availability_zone and availability_zones")
	case !v.session.OpenStack.IgnoreServerZone:
		return invalid("Cannot use multiple azs without 'openstack.ignore_server_availability_zone' set to true")
	}
	uid, _, n, err := messages.ParseStepID(v.step.ID())
	if err != nil {
		return err
	}
	sum := fnv.New32a()
	_, _ = sum.Write([]byte(uid)) // never fails
	v.own.AvailabilityZone = zones[(int(sum.Sum32()%uint32(len(zones)))+n-1)%len(zones)]
	return nil
}

// share lets the port of the default network use one more address: a virtual
// one that several VMs pass to each other.
func (v *vm) share() error {
	if v.own.SharedAddress == "" {
		return nil
	}
	if _, err := netip.ParseAddr(v.own.SharedAddress); err != nil {
		return invalid("allowed_address_pairs must be an IP address")
	}
	gateway := v.networks.gateway()
	if gateway.Type != "manual" {
		return invalid("allowed_address_pairs needs a manual network")
	}
	gateway.shared = []string{v.own.SharedAddress}
	return nil
}

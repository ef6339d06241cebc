package openstack

import (
	"context"

	volumelimits "github.com/gophercloud/gophercloud/v2/openstack/blockstorage/v3/limits"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/flavors"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/limits"
	netapi "github.com/gophercloud/gophercloud/v2/openstack/networking/v2/networks"

	"github.com/microbosh/microbosh/pkg/messages"
)

// preflight looks whether a deploy would find what it needs. It makes nothing,
// and one bad look does not end the others.
func (c *Cloud) preflight(ctx context.Context, o *session, args messages.PreflightArgs) (any, error) {
	var out messages.PreflightReply
	check := func(name string, err error) {
		out.Checks = append(out.Checks, messages.Check{Name: name, Error: messages.AsError(err)})
	}
	check("credentials", nil) // there is a session
	check("clock", o.checkClock(ctx))
	check("certificate", o.checkCertificate(ctx))
	own, err := parseVM(args.CloudProperties)
	if err != nil {
		return nil, err
	}
	nets, err := parseNetworks(args.Networks)
	if err != nil {
		check("networks", err)
	}
	v := &vm{cloud: c, session: o, own: own, networks: nets, args: messages.CreateVMArgs{StemcellCID: args.StemcellCID}}
	flavor, err := o.findFlavor(ctx, first(own.InstanceType, "m1.small"))
	check("flavor", err)
	if args.StemcellCID != "" {
		check("image", v.checkImage(ctx))
	}
	_, _, err = v.keyPair(ctx)
	check("key pair", err)
	_, err = o.findGroups(ctx, nets.groupNames(own.SecurityGroups, o.properties))
	check("security groups", err)
	if len(own.Pools) > 0 {
		_, err := o.findPools(ctx, own.Pools)
		check("load balancer pools", err)
	}
	for _, n := range nets.private {
		if n.NetID != "" {
			check("network "+n.name, o.checkNetwork(ctx, n.NetID))
		}
	}
	if nets.vip != nil {
		_, err := o.findFloating(ctx, nets.vip)
		check("floating IP "+nets.vip.IP, err)
	}
	check("compute quota", o.checkCompute(ctx, flavor))
	check("volume quota", o.checkVolumes(ctx, args.DiskMiB))
	return out, nil
}

func (s *session) checkNetwork(ctx context.Context, id string) error {
	err := classify("read the network "+id, reads, netapi.Get(ctx, s.network, id).Err)
	if notFound(err) {
		return messages.Errorf(messages.CodeCloudNotFound, "Network `%s' not found", id).WithHint("openstack network list shows which there are")
	}
	return err
}

// room tells whether one more of something fits; a negative limit is none.
func room(what string, used, more, limit int) error {
	if limit < 0 || used+more <= limit {
		return nil
	}
	return messages.Errorf(messages.CodeCloudQuota, "the project's quota of %s is %d, of which %d are used: %d more do not fit", what, limit, used, more).
		WithHint("%s", quotaHint)
}

func (s *session) checkCompute(ctx context.Context, flavor flavors.Flavor) error {
	have, err := limits.Get(ctx, s.compute, limits.GetOpts{}).Extract()
	if err != nil {
		return classify("read the compute quota", reads, err)
	}
	a := have.Absolute
	for _, err := range []error{
		room("instances", a.TotalInstancesUsed, 1, a.MaxTotalInstances),
		room("cores", a.TotalCoresUsed, flavor.VCPUs, a.MaxTotalCores),
		room("MiB of memory", a.TotalRAMUsed, flavor.RAM, a.MaxTotalRAMSize),
	} {
		if err != nil {
			return err
		}
	}
	return nil
}

func (s *session) checkVolumes(ctx context.Context, mib int) error {
	if mib <= 0 {
		return nil
	}
	have, err := volumelimits.Get(ctx, s.volume).Extract()
	if err != nil {
		return classify("read the volume quota", reads, err)
	}
	a := have.Absolute
	if err := room("volumes", a.TotalVolumesUsed, 1, a.MaxTotalVolumes); err != nil {
		return err
	}
	return room("GiB of volumes", a.TotalGigabytesUsed, gibibytes(mib), a.MaxTotalVolumeGigabytes)
}

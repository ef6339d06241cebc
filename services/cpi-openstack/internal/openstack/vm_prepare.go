package openstack

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"

	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/keypairs"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/servers"

	"github.com/microbosh/microbosh/pkg/messages"
)

// anyNetwork asks for the project's only network. From version 2.37 on Nova
// wants it said.
const anyNetwork = "auto"

// prepare looks up what the request names, makes the ports with fixed addresses
// and stores the settings.
func (v *vm) prepare(ctx context.Context) error {
	flavor, err := v.session.findFlavor(ctx, first(v.own.InstanceType, "m1.small"))
	if err != nil {
		return err
	}
	key, public, err := v.keyPair(ctx)
	if err != nil {
		return err
	}
	if err := v.checkImage(ctx); err != nil {
		return err
	}
	zone, err := v.zone(ctx)
	if err != nil {
		return err
	}
	places, err := v.session.findPools(ctx, v.own.Pools)
	if err != nil {
		return err
	}
	options := servers.CreateOpts{
		Name: v.args.Name, ImageRef: v.args.StemcellCID, FlavorRef: flavor.ID, AvailabilityZone: zone,
		Metadata: metadata(v.args.Tags), Tags: tags(v.args.Tags),
	}
	maps.Copy(options.Metadata, places)
	if v.session.OpenStack.ConfigDrive != "" {
		options.ConfigDrive = new(true)
	}
	if err := v.bootDisk(&options, flavor); err != nil {
		return err
	}
	agentNetworks, addresses, err := v.plug(ctx, &options)
	if err != nil {
		return err
	}
	settings := settingsOf(v.session.properties, v.step.Secrets(), v.args, agentNetworks, flavor.Ephemeral > 0)
	endpoint, err := v.cloud.registry.endpoint(v.args.Name, v.args.RegistryPort)
	if err != nil {
		return err
	}
	if options.UserData, err = userData(settings, endpoint, public); err != nil {
		return err
	}
	if v.settings, err = json.Marshal(settings); err != nil {
		return fmt.Errorf("cannot encode the settings of %s: %w", v.args.Name, err)
	}
	if err := v.store(ctx, addresses); err != nil {
		return err
	}
	v.options = keypairs.CreateOptsExt{CreateOptsBuilder: options, KeyName: key}
	return nil
}

// store tells the registry the settings, and from where the server will ask for
// them.
func (v *vm) store(ctx context.Context, addresses []string) error {
	var err error
	v.settings, v.revision, err = v.cloud.registry.store(ctx, v.args.Name, v.settings, addresses, v.revision)
	return err
}

func (v *vm) checkImage(ctx context.Context) error {
	_, err := v.session.getImage(ctx, v.args.StemcellCID)
	if notFound(err) {
		return messages.Errorf(messages.CodeCloudNotFound, "Image `%s' not found", v.args.StemcellCID).
			WithHint("the stemcell's image was deleted in the cloud; deploy with the stemcell's archive again")
	}
	return err
}

// keyPair gives the name of the key pair that the VM asks for, and its public
// key.
func (v *vm) keyPair(ctx context.Context) (name, public string, err error) {
	name = first(v.own.KeyName, v.session.OpenStack.DefaultKeyName)
	if name == "" {
		return "", "", nil
	}
	pair, err := keypairs.Get(ctx, v.session.compute, url.PathEscape(name), keypairs.GetOpts{}).Extract()
	if err = classify("find the key pair "+name, reads, err); notFound(err) {
		return "", "", messages.Errorf(messages.CodeCloudNotFound, "Key-pair `%s' not found", name).WithHint("openstack keypair list shows which there are")
	}
	if err != nil {
		return "", "", err
	}
	return name, strings.TrimSpace(pair.PublicKey), nil
}

// plug fills in networks and security groups, and gives the networks as the
// agent shall know them.
func (v *vm) plug(ctx context.Context, options *servers.CreateOpts) (map[string]messages.Network, []string, error) {
	wanted, err := v.session.findGroups(ctx, v.networks.groupNames(v.own.SecurityGroups, v.session.properties))
	if err != nil {
		return nil, nil, err
	}
	var ids, addresses []string
	for _, g := range wanted {
		ids = append(ids, g.ID)
		options.SecurityGroups = append(options.SecurityGroups, g.Name)
	}
	agent := map[string]messages.Network{}
	var nics []servers.Network
	for _, n := range v.networks.private {
		n.UseDHCP = v.session.OpenStack.UseDHCP
		if n.Type == "manual" {
			port, err := v.session.ensurePort(ctx, v.step.ID(), n, ids)
			if err != nil {
				return nil, nil, err
			}
			n.MAC = port.MACAddress
			nics, addresses = append(nics, servers.Network{Port: port.ID}), append(addresses, n.IP)
		} else if n.NetID != "" {
			nics = append(nics, servers.Network{UUID: n.NetID})
		}
		agent[n.name] = n.Network
	}
	if v.networks.vip != nil {
		agent[v.networks.vip.name] = v.networks.vip.Network
	}
	options.Networks = nics
	if len(nics) == 0 {
		options.Networks = anyNetwork
	}
	return agent, addresses, nil
}

// zone is the disks' availability zone, else the one asked for.
func (v *vm) zone(ctx context.Context) (string, error) {
	if v.session.OpenStack.IgnoreServerZone {
		return v.own.AvailabilityZone, nil
	}
	var zones []string
	if v.own.AvailabilityZone != "" {
		zones = append(zones, v.own.AvailabilityZone)
	}
	for _, cid := range v.args.DiskCIDs {
		volume, err := v.session.getVolume(ctx, cid)
		if notFound(err) {
			return "", messages.Errorf(messages.CodeCloudNotFound, "Volume `%s' not found", cid)
		}
		if err != nil {
			return "", err
		}
		if volume.AvailabilityZone != "" {
			zones = append(zones, volume.AvailabilityZone)
		}
	}
	slices.Sort(zones)
	zones = slices.Compact(zones)
	if len(zones) > 1 {
		return "", invalid("can't use multiple availability zones: %s", strings.Join(zones, ", "))
	}
	return first(zones...), nil
}

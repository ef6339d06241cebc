package openstack

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/keypairs"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/servers"

	"github.com/microbosh/microbosh/pkg/messages"
	"github.com/microbosh/microbosh/services/cpi-openstack/internal/cpi"
)

// anyNetwork asks for the project's only network. From version 2.37 on Nova
// wants it said.
const anyNetwork = "auto"

// vmProperties are resources.cloud_properties.
type vmProperties struct {
	InstanceType     string   `json:"instance_type"`
	AvailabilityZone string   `json:"availability_zone"`
	KeyName          string   `json:"key_name"`
	SecurityGroups   []string `json:"security_groups"`
}

// vm is a server in the making.
type vm struct {
	cloud    *Cloud
	session  *session
	step     *cpi.Step
	args     messages.CreateVMArgs
	own      vmProperties
	networks networks

	settings []byte // what the registry was told
	revision uint64
	options  servers.CreateOptsBuilder
}

func (c *Cloud) createVM(ctx context.Context, s *cpi.Step, o *session, args messages.CreateVMArgs) (any, error) {
	if err := requireTags(s, args.Tags); err != nil {
		return nil, err
	}
	for what, id := range map[string]string{"VM name": args.Name, "agent id": args.AgentID, "stemcell": args.StemcellCID} {
		if err := require(what, id); err != nil {
			return nil, err
		}
	}
	v := &vm{cloud: c, session: o, step: s, args: args}
	var err error
	if v.networks, err = parseNetworks(args.Networks); err != nil {
		return nil, err
	}
	if err := decode("the VM", args.CloudProperties, &v.own); err != nil {
		return nil, err
	}
	cid, err := s.Create(ctx, cpi.Maker{Find: v.find, Prepare: v.prepare, Post: v.post, Remove: v.remove, Undo: v.undo})
	if err != nil {
		return nil, err
	}
	return v.finish(ctx, cid)
}

// find lists by name, which was minted for this step, and trusts only the step
// id in the metadata.
func (v *vm) find(ctx context.Context) ([]cpi.Found, error) {
	options := servers.ListOpts{Name: "^" + regexp.QuoteMeta(v.args.Name) + "$"}
	list, err := all(ctx, "list servers", servers.List(v.session.compute, options), servers.ExtractServers)
	if err != nil {
		return nil, err
	}
	var found []cpi.Found
	for _, server := range list {
		if server.Metadata[tagStep] == v.step.ID() && !gone(server.Status) {
			found = append(found, cpi.Found{CID: server.ID, Created: server.Created})
		}
	}
	return found, nil
}

// prepare looks up what the request names, makes the ports with fixed addresses
// and stores the settings.
func (v *vm) prepare(ctx context.Context) error {
	flavor, err := v.session.findFlavor(ctx, first(v.own.InstanceType, "m1.small"))
	if err != nil {
		return err
	}
	key := first(v.own.KeyName, v.session.OpenStack.DefaultKeyName)
	if key != "" {
		err := classify("find the key pair "+key, reads, keypairs.Get(ctx, v.session.compute, key, keypairs.GetOpts{}).Err)
		if notFound(err) {
			return messages.Errorf(messages.CodeCloudNotFound, "Key-pair `%s' not found", key).WithHint("openstack keypair list shows which there are")
		}
		if err != nil {
			return err
		}
	}
	if v.networks.vip != nil {
		if _, err := v.session.findFloating(ctx, v.networks.vip); err != nil {
			return err
		}
	}
	zone, err := v.zone(ctx)
	if err != nil {
		return err
	}
	options := servers.CreateOpts{
		Name: v.args.Name, ImageRef: v.args.StemcellCID, FlavorRef: flavor.ID, AvailabilityZone: zone,
		Metadata: metadata(v.args.Tags), Tags: tags(v.args.Tags),
	}
	if v.session.OpenStack.ConfigDrive != "" {
		options.ConfigDrive = new(true)
	}
	agentNetworks, addresses, err := v.plug(ctx, &options)
	if err != nil {
		return err
	}
	settings := settingsOf(v.session.properties, v.step.Secrets(), v.args, agentNetworks, flavor.Ephemeral > 0)
	endpoint, err := v.cloud.registry.endpoint()
	if err != nil {
		return err
	}
	if options.UserData, err = userData(settings, endpoint); err != nil {
		return err
	}
	if v.settings, err = json.Marshal(settings); err != nil {
		return fmt.Errorf("cannot encode the settings of %s: %w", v.args.Name, err)
	}
	if v.revision, err = v.cloud.registry.store(ctx, v.args.Name, v.settings, addresses, v.revision); err != nil {
		return err
	}
	v.options = keypairs.CreateOptsExt{CreateOptsBuilder: options, KeyName: key}
	return nil
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

func (v *vm) post(ctx context.Context) (string, error) {
	server, err := servers.Create(ctx, v.session.tagged, v.options, nil).Extract()
	if gophercloud.ResponseCodeIs(err, http.StatusNotAcceptable) {
		// An older cloud knows neither tags, for which the metadata stand in, nor
		// that word for the only network.
		ext, _ := v.options.(keypairs.CreateOptsExt)
		if plain, ok := ext.CreateOptsBuilder.(servers.CreateOpts); ok {
			plain.Tags = nil
			if plain.Networks == anyNetwork {
				plain.Networks = nil
			}
			ext.CreateOptsBuilder = plain
		}
		server, err = servers.Create(ctx, v.session.compute, ext, nil).Extract()
	}
	if err != nil {
		return "", classify("make the server "+v.args.Name, writes, err)
	}
	if server.ID == "" {
		return "", messages.Errorf(messages.CodeCloudAmbiguous, "cannot make the server %s: the answer names none", v.args.Name)
	}
	return server.ID, nil
}

func (v *vm) remove(ctx context.Context, cid string) error {
	return v.session.deleteServer(ctx, cid, v.step.ID())
}

func (v *vm) undo(ctx context.Context) error {
	if err := v.session.deletePorts(ctx, v.step.ID()); err != nil {
		return err
	}
	return v.cloud.registry.delete(ctx, v.args.Name)
}

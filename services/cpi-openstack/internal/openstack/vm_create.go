package openstack

import (
	"context"
	"encoding/json"
	"net/http"
	"regexp"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/keypairs"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/servers"

	"github.com/microbosh/microbosh/pkg/messages"
	"github.com/microbosh/microbosh/services/cpi-openstack/internal/cpi"
)

// vmProperties are resources.cloud_properties.
type vmProperties struct {
	InstanceType     string   `json:"instance_type"`
	AvailabilityZone string   `json:"availability_zone"`
	Zones            []string `json:"availability_zones"`
	SharedAddress    string   `json:"allowed_address_pairs"` // one, as BOSH has it
	KeyName          string   `json:"key_name"`
	SecurityGroups   []string `json:"security_groups"`
	SchedulerHints   hints    `json:"scheduler_hints"`

	Pools []balanced `json:"loadbalancer_pools"`

	BootFromVolume *bool `json:"boot_from_volume"`
	RootDisk       struct {
		Size int `json:"size"` // GiB, when it is a volume
	} `json:"root_disk"`
}

func parseVM(raw json.RawMessage) (vmProperties, error) {
	var p vmProperties
	if err := decode("the VM", raw, &p); err != nil {
		return p, err
	}
	return p, checkPools(p.Pools)
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
	if v.own, err = parseVM(args.CloudProperties); err != nil {
		return nil, err
	}
	if err := v.choose(); err != nil {
		return nil, err
	}
	cid, err := s.Create(ctx, cpi.Maker{Find: v.find, Prepare: v.claim, Post: v.post, Remove: v.remove, Undo: v.undo})
	if err != nil {
		return nil, err
	}
	return v.finish(ctx, cid)
}

// claim looks that the address is free before anything is made.
func (v *vm) claim(ctx context.Context) error {
	if err := v.session.checkVIP(ctx, v.networks.vip); err != nil {
		return err
	}
	return v.prepare(ctx)
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

func (v *vm) post(ctx context.Context) (string, error) {
	server, err := servers.Create(ctx, v.session.tagged, v.options, v.own.SchedulerHints).Extract()
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
		server, err = servers.Create(ctx, v.session.compute, ext, v.own.SchedulerHints).Extract()
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

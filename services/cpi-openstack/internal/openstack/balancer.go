package openstack

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/gophercloud/gophercloud/v2"
	osclient "github.com/gophercloud/gophercloud/v2/openstack"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/servers"
	"github.com/gophercloud/gophercloud/v2/openstack/loadbalancer/v2/pools"

	"github.com/microbosh/microbosh/pkg/messages"
)

// poolKey and a number, from 1, are the keys of a server's metadata that name its
// places in load balancers, as BOSH has them: pool/member. The pool alone stands
// there from the server's request on, so that a delete finds a member that was
// made right before a crash.
const poolKey = "lbaas_pool_"

// balanced is one of loadbalancer_pools: a pool of Octavia's, by name or id, and
// the port on which the VM serves it.
type balanced struct {
	Name string `json:"name"`
	Port int    `json:"port"`
}

func checkPools(list []balanced) error {
	for _, p := range list {
		if p.Name == "" {
			return invalid("a load balancer pool has no name")
		}
		if p.Port < 1 || p.Port > 65535 {
			return invalid("the port of load balancer pool `%s' must be between 1 and 65535", p.Name)
		}
	}
	return nil
}

// loadBalancer is Octavia, which few clouds have and few VMs need.
func (s *session) loadBalancer() (*gophercloud.ServiceClient, error) {
	s.balancing.Lock()
	defer s.balancing.Unlock()
	if s.balancer != nil {
		return s.balancer, nil
	}
	client, err := osclient.NewLoadBalancerV2(s.compute.ProviderClient, s.where)
	var none *gophercloud.ErrEndpointNotFound
	if errors.As(err, &none) {
		return nil, messages.Errorf(messages.CodeNotSupported, "the cloud has no load balancers: its catalog names no Octavia").
			WithHint("leave loadbalancer_pools out of the manifest, or check region and endpoint_type in cloud.properties.openstack")
	}
	if err != nil {
		return nil, classify("find the load balancer service", reads, err)
	}
	s.balancer = client
	return client, nil
}

// findPools gives the metadata for what is asked for.
func (s *session) findPools(ctx context.Context, wanted []balanced) (map[string]string, error) {
	if len(wanted) == 0 {
		return nil, nil
	}
	client, err := s.loadBalancer()
	if err != nil {
		return nil, err
	}
	have, err := all(ctx, "list load balancer pools", pools.List(client, pools.ListOpts{}), pools.ExtractPools)
	if err != nil {
		return nil, err
	}
	out := map[string]string{}
	for n, w := range wanted {
		var ids []string
		for _, p := range have {
			if p.ID == w.Name {
				ids = []string{p.ID}
				break
			}
			if p.Name == w.Name {
				ids = append(ids, p.ID)
			}
		}
		if len(ids) == 0 {
			return nil, messages.Errorf(messages.CodeCloudNotFound, "Load balancer pool `%s' not found", w.Name).
				WithHint("openstack loadbalancer pool list shows which there are")
		}
		if len(ids) > 1 {
			return nil, messages.Errorf(messages.CodeManifestInvalid, "there are %d load balancer pools `%s'", len(ids), w.Name).
				WithHint("name the one that is meant by its id")
		}
		out[fmt.Sprint(poolKey, n+1)] = ids[0]
	}
	return out, nil
}

// join makes the server a member of its pools, once: a member bears the step's
// id, and Octavia takes none twice for one address and port.
func (v *vm) join(ctx context.Context, server *servers.Server) error {
	for n, w := range v.own.Pools {
		key := fmt.Sprint(poolKey, n+1)
		pool, _, _ := strings.Cut(server.Metadata[key], "/")
		if err := require("load balancer pool", pool); err != nil {
			return err
		}
		member, err := v.member(ctx, server.ID, pool, w.Port)
		if err != nil {
			return err
		}
		if err := v.session.awaitMember(ctx, v.step, pool, member); err != nil {
			return err
		}
		if said := pool + "/" + member; server.Metadata[key] != said {
			err := servers.UpdateMetadata(ctx, v.session.compute, server.ID, servers.MetadataOpts{key: said}).Err
			if err := classify("write the metadata of "+server.ID, writes, err); err != nil {
				return err
			}
		}
	}
	return nil
}

// member gives the one that an earlier try made, or makes it.
func (v *vm) member(ctx context.Context, cid, pool string, port int) (string, error) {
	have, err := v.memberAt(ctx, pool, port)
	if err != nil || have != "" {
		return have, err
	}
	client, err := v.session.loadBalancer()
	if err != nil {
		return "", err
	}
	nic, err := v.session.gatewayPort(ctx, cid, v.networks.gateway())
	if err != nil {
		return "", err
	}
	options := pools.CreateMemberOpts{
		Name: v.step.ID(), Address: nic.FixedIPs[0].IPAddress, SubnetID: nic.FixedIPs[0].SubnetID, ProtocolPort: port,
	}
	made, err := pools.CreateMember(ctx, client, pool, options).Extract()
	if err == nil {
		return made.ID, nil
	}
	err = classify("join the load balancer pool "+pool, writes, err)
	if hasCode(err, messages.CodeCloudConflict) {
		if have, again := v.memberAt(ctx, pool, port); again == nil && have != "" {
			return have, nil // made by a repeat of this very request
		}
	}
	return "", err
}

// memberAt is this step's member of a pool with that port, "" when there is none.
func (v *vm) memberAt(ctx context.Context, pool string, port int) (string, error) {
	have, err := v.session.membersOf(ctx, pool, v.step.ID())
	if err != nil {
		return "", err
	}
	for _, m := range have {
		if m.ProtocolPort == port {
			return m.ID, nil
		}
	}
	return "", nil
}

// membersOf lists a pool's members of one step; a pool that is gone has none.
func (s *session) membersOf(ctx context.Context, pool, owner string) ([]pools.Member, error) {
	client, err := s.loadBalancer()
	if err != nil {
		return nil, err
	}
	list, err := all(ctx, "list the members of pool "+pool, pools.ListMembers(client, pool, pools.ListMembersOpts{Name: owner}), pools.ExtractMembers)
	if notFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(list, func(m pools.Member) bool { return m.Name != owner || m.ProvisioningStatus == "DELETED" }), nil
}

// awaitMember waits until the load balancer took the member in.
func (s *session) awaitMember(ctx context.Context, step progress, pool, member string) error {
	client, err := s.loadBalancer()
	if err != nil {
		return err
	}
	return s.await(ctx, "Load balancer member `"+member+"'", "active", func(ctx context.Context) (bool, error) {
		m, err := pools.GetMember(ctx, client, pool, member).Extract()
		if err != nil {
			return false, classify("read the load balancer member "+member, reads, err)
		}
		if m.ProvisioningStatus == "ERROR" {
			return false, messages.Errorf(messages.CodeCloudInvalid, "Load balancer member `%s' state is ERROR, expected ACTIVE", member).
				WithHint("openstack loadbalancer member show %s %s tells more", pool, member)
		}
		step.Progress("load balancer member "+member+" is "+m.ProvisioningStatus, 0, 0)
		return m.ProvisioningStatus == "ACTIVE" || m.ProvisioningStatus == "", nil
	})
}

// progress tells people how far a step is.
type progress interface {
	Progress(message string, done, total int64)
}

// leavePools takes a server out of its pools, and waits until it is out. It
// comes before the server's own end, which forgets what they were.
func (s *session) leavePools(ctx context.Context, server *servers.Server, owner string) error {
	for key, said := range server.Metadata {
		if !strings.HasPrefix(key, poolKey) {
			continue
		}
		pool, named, _ := strings.Cut(said, "/")
		if require("load balancer pool", pool) != nil {
			continue // another's key of that name
		}
		have, err := s.membersOf(ctx, pool, owner)
		if hasCode(err, messages.CodeNotSupported) {
			return nil // without Octavia there is nothing to leave
		}
		if err != nil {
			return err
		}
		for _, m := range have {
			if err := s.dropMember(ctx, pool, m.ID); err != nil {
				return err
			}
		}
		if s.trusting && len(have) == 0 && require("member", named) == nil {
			if err := s.dropMember(ctx, pool, named); err != nil { // another CPI made it
				return err
			}
		}
	}
	return nil
}

func (s *session) dropMember(ctx context.Context, pool, member string) error {
	client, err := s.loadBalancer()
	if err != nil {
		return err
	}
	err = classify("leave the load balancer pool "+pool, reads, pools.DeleteMember(ctx, client, pool, member).ExtractErr())
	if err != nil && !notFound(err) {
		return err
	}
	return s.await(ctx, "Load balancer member `"+member+"'", "deleted", func(ctx context.Context) (bool, error) {
		err := pools.GetMember(ctx, client, pool, member).Err
		if gophercloud.ResponseCodeIs(err, http.StatusNotFound) {
			return true, nil
		}
		return false, classify("read the load balancer member "+member, reads, err)
	})
}

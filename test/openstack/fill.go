package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
)

// cloudFile tells tests where the cloud is and what it holds.
const cloudFile = "cloud.json"

// projects of the user demo: one to work in, one in which nothing fits.
const (
	project = "demo"
	tight   = "tight"
)

// fillIdentity makes the accounts and the catalog.
func (s *stack) fillIdentity(ctx context.Context) error {
	admin, err := s.signIn(ctx, "admin", "admin")
	if err != nil {
		return err
	}
	base := s.identity()
	roles := map[string]string{}
	for _, role := range []string{"admin", "member", "service"} {
		if roles[role], err = admin.ensure(ctx, base, "roles", "role", tree{"name": role}); err != nil {
			return err
		}
	}
	for _, m := range []struct {
		user, project string
		roles         []string
	}{
		{"service", "service", []string{"admin", "service"}}, {"demo", project, []string{"member"}}, {"demo", tight, []string{"member"}},
	} {
		where, err := admin.ensure(ctx, base, "projects", "project", tree{"name": m.project, "domain_id": "default"})
		if err != nil {
			return err
		}
		who, err := admin.ensure(ctx, base, "users", "user", tree{"name": m.user, "password": s.Password, "domain_id": "default"})
		if err != nil {
			return err
		}
		for _, role := range m.roles {
			url := fmt.Sprintf("%s/projects/%s/users/%s/roles/%s", base, where, who, roles[role])
			if _, err := admin.do(ctx, http.MethodPut, url, nil, nil); err != nil {
				return err
			}
		}
	}
	return s.fillCatalog(ctx, admin)
}

func (s *stack) fillCatalog(ctx context.Context, admin *account) error {
	var have struct {
		Endpoints []struct {
			Service   string `json:"service_id"`
			Interface string `json:"interface"`
		} `json:"endpoints"`
	}
	if err := admin.get(ctx, s.identity()+"/endpoints", &have); err != nil {
		return err
	}
	known := map[string]bool{}
	for _, e := range have.Endpoints {
		known[e.Service+e.Interface] = true
	}
	for _, service := range []struct{ name, kind, url string }{
		{"glance", "image", s.URL(s.Glance)}, {"placement", "placement", s.URL(s.Placement)}, {"nova", "compute", s.compute()},
		{"neutron", "network", s.URL(s.Neutron)}, {"cinderv3", "volumev3", s.volume("%(project_id)s")}, {"cinder", "block-storage", s.volume("%(project_id)s")},
	} {
		id, err := admin.ensure(ctx, s.identity(), "services", "service", tree{"name": service.name, "type": service.kind})
		if err != nil {
			return err
		}
		for _, face := range []string{"public", "internal", "admin"} {
			if known[id+face] {
				continue
			}
			endpoint := tree{"endpoint": tree{"service_id": id, "interface": face, "region_id": region, "url": service.url}}
			if _, err := admin.do(ctx, http.MethodPost, s.identity()+"/endpoints", endpoint, nil); err != nil {
				return err
			}
		}
	}
	return nil
}

// fill makes flavors, networks and quotas, and writes cloudFile.
func (s *stack) fill(ctx context.Context) error {
	admin, err := s.signIn(ctx, "admin", "admin")
	if err != nil {
		return err
	}
	demo, err := s.signIn(ctx, "demo", project)
	if err != nil {
		return err
	}
	for _, f := range []struct {
		name                        string
		ram, disk, cores, ephemeral int
	}{{"m1.tiny", 512, 1, 1, 0}, {"m1.small", 2048, 20, 1, 0}, {"m1.medium", 4096, 40, 2, 10}, {"m1.diskless", 512, 0, 1, 0}} {
		want := tree{"name": f.name, "ram": f.ram, "disk": f.disk, "vcpus": f.cores, "OS-FLV-EXT-DATA:ephemeral": f.ephemeral}
		if _, err := admin.ensure(ctx, s.compute(), "flavors", "flavor", want); err != nil {
			return err
		}
	}
	if err := s.starve(ctx, admin); err != nil {
		return err
	}
	about := tree{
		"auth_url": s.identity(), "region": region, "username": "demo", "password": s.Password, "project": project, "tight_project": tight,
		"admin": "admin", "admin_project": "admin",
	}
	external, err := admin.ensure(ctx, s.network(), "networks", "network", tree{
		"name": "public", "router:external": true, "provider:network_type": "flat", "provider:physical_network": "public",
	})
	if err != nil {
		return err
	}
	outside := tree{"name": "public-subnet", "network_id": external, "ip_version": 4, "cidr": "203.0.113.0/24", "enable_dhcp": false}
	if s.VM() {
		outside["cidr"], outside["gateway_ip"] = s.publicCIDR(), s.publicGateway()
	}
	if _, err := admin.ensure(ctx, s.network(), "subnets", "subnet", outside); err != nil {
		return err
	}
	router, err := demo.ensure(ctx, s.network(), "routers", "router", tree{
		"name": "edge", "external_gateway_info": tree{"network_id": external},
	})
	if err != nil {
		return err
	}
	for i, name := range []string{"private", "second"} {
		id, cidr, err := s.fillNetwork(ctx, demo, router, name, i)
		if err != nil {
			return err
		}
		about[name] = tree{"id": id, "cidr": cidr}
	}
	about["external"] = tree{"id": external}
	about["level"] = s.Level
	if s.VM() {
		about["host"] = s.publicGateway() // this machine, as servers reach it
	}
	if err := s.openDoors(ctx, demo); err != nil {
		return err
	}
	b, err := json.MarshalIndent(about, "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(s.path(cloudFile), append(b, '\n'), 0o600); err != nil {
		return fmt.Errorf("cannot tell where the cloud is: %w", err)
	}
	return nil
}

// fillNetwork makes a network. At level api its addresses are loopback ones: a
// stand-in for a guest can listen on each. Neutron allows it where it serves no
// DHCP.
func (s *stack) fillNetwork(ctx context.Context, demo *account, router, name string, i int) (id, cidr string, err error) {
	cidr = fmt.Sprintf("127.%d.%d.0/24", 40+s.Block, i)
	if s.VM() {
		cidr = fmt.Sprintf("10.99.%d.0/24", i)
	}
	if id, err = demo.ensure(ctx, s.network(), "networks", "network", tree{"name": name}); err != nil {
		return "", "", err
	}
	var had struct {
		Network struct {
			Subnets []string `json:"subnets"`
		} `json:"network"`
	}
	if err = demo.get(ctx, s.network()+"/networks/"+id, &had); err != nil || len(had.Network.Subnets) > 0 {
		return id, cidr, err
	}
	subnet, err := demo.ensure(ctx, s.network(), "subnets", "subnet", tree{
		"name": name + "-subnet", "network_id": id, "ip_version": 4, "cidr": cidr, "enable_dhcp": s.VM(),
	})
	if err != nil {
		return "", "", err
	}
	_, err = demo.do(ctx, http.MethodPut, s.network()+"/routers/"+router+"/add_router_interface", tree{"subnet_id": subnet}, nil)
	return id, cidr, err
}

// starve leaves no room in the tight project.
func (s *stack) starve(ctx context.Context, admin *account) error {
	id, err := admin.ensure(ctx, s.identity(), "projects", "project", tree{"name": tight, "domain_id": "default"})
	if err != nil {
		return err
	}
	for url, quota := range map[string]tree{
		s.compute() + "/os-quota-sets/" + id:             {"quota_set": tree{"instances": 0}},
		s.volume(admin.project) + "/os-quota-sets/" + id: {"quota_set": tree{"volumes": 0}},
		s.network() + "/quotas/" + id:                    {"quota": tree{"port": 0}},
	} {
		if _, err := admin.do(ctx, http.MethodPut, url, quota, nil); err != nil {
			return err
		}
	}
	return nil
}

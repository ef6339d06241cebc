package devcloud

import "net/http"

const (
	userID   = "admin"
	domainID = "default"
)

// identityRoutes serves Keystone at /identity, and at the root for those who
// leave the prefix out.
func (c *Cloud) identityRoutes(open func(string, endpoint)) {
	for _, prefix := range []string{"/identity", ""} {
		about := m{
			"id": "v3.14", "status": "stable", "updated": "2020-04-07T00:00:00Z",
			"links":       []m{{"rel": "self", "href": c.URL() + prefix + "/v3/"}},
			"media-types": []m{{"base": "application/json", "type": "application/vnd.openstack.identity-v3+json"}},
		}
		all := func(*http.Request) (int, any, error) {
			return http.StatusMultipleChoices, m{"versions": m{"values": []any{about}}}, nil
		}
		one := func(*http.Request) (int, any, error) { return http.StatusOK, m{"version": about}, nil }
		if prefix != "" {
			open("GET "+prefix, all)
		}
		open("GET "+prefix+"/{$}", all)
		open("GET "+prefix+"/v3", one)
		open("GET "+prefix+"/v3/{$}", one)
		open("POST "+prefix+"/v3/auth/tokens", c.issue)
		open("GET "+prefix+"/v3/auth/tokens", c.validate)
		open("DELETE "+prefix+"/v3/auth/tokens", c.revoke)
		open("GET "+prefix+"/v3/auth/catalog", c.authorized(func(*http.Request) (int, any, error) {
			return http.StatusOK, m{"catalog": c.catalog()}, nil
		}))
	}
}

func (c *Cloud) catalog() []m {
	project := "/volume/v3/" + c.projectID
	return []m{
		c.service("identity", "keystone", "/identity"), c.service("image", "glance", "/image"),
		c.service("compute", "nova", "/compute/v2.1"), c.service("network", "neutron", "/network"),
		c.service("volumev3", "cinderv3", project), c.service("block-storage", "cinder", project),
		c.service("load-balancer", "octavia", "/load-balancer"),
	}
}

func (c *Cloud) service(kind, name, path string) m {
	var endpoints []m
	for _, face := range []string{"public", "internal", "admin"} {
		endpoints = append(endpoints, m{
			"id": name + "-" + face, "interface": face, "region": Region, "region_id": Region, "url": c.URL() + path,
		})
	}
	return m{"id": name, "type": kind, "name": name, "endpoints": endpoints}
}

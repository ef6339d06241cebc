package devcloud

import (
	"net/http"
	"net/netip"
)

// pool is one of Octavia. Its load balancer is a name, and balances nothing.
type pool struct {
	head
	Balancer string
	Protocol string
	Method   string
	Members  map[string]*member
	pending  bool // the load balancer is taking a change in
}

// member is a server's place in a pool.
type member struct {
	head
	Address  netip.Addr
	Port     int
	SubnetID string
	Status   string // PENDING_CREATE, ACTIVE, PENDING_DELETE
}

func (c *Cloud) poolJSON(p *pool) m {
	members := []m{}
	for _, one := range oldest(p.Members) {
		members = append(members, m{"id": one.ID})
	}
	status := "ACTIVE"
	if p.pending {
		status = "PENDING_UPDATE"
	}
	return m{
		"id": p.ID, "name": p.Name, "description": "", "protocol": p.Protocol, "lb_algorithm": p.Method, "admin_state_up": true,
		"provisioning_status": status, "operating_status": "ONLINE", "project_id": c.projectID, "tenant_id": c.projectID, "members": members,
		"loadbalancers": []m{{"id": p.Balancer}}, "listeners": []m{}, "healthmonitor_id": "", "session_persistence": nil, "tags": []string{},
		"created_at": p.Created.Format("2006-01-02T15:04:05"), "updated_at": nil,
	}
}

func (c *Cloud) memberJSON(one *member) m {
	return m{
		"id": one.ID, "name": one.Name, "address": one.Address.String(), "protocol_port": one.Port, "subnet_id": one.SubnetID, "weight": 1,
		"admin_state_up": true, "backup": false, "provisioning_status": one.Status, "operating_status": "NO_MONITOR", "project_id": c.projectID,
		"tenant_id": c.projectID, "monitor_address": nil, "monitor_port": nil, "tags": []string{},
		"created_at": one.Created.Format("2006-01-02T15:04:05"), "updated_at": nil,
	}
}

type balancerRequest struct {
	Pool struct {
		Name     string `json:"name"`
		Protocol string `json:"protocol"`
		Method   string `json:"lb_algorithm"`
		Balancer string `json:"loadbalancer_id"`
	} `json:"pool"`
	Member struct {
		Name     string     `json:"name"`
		Address  netip.Addr `json:"address"`
		Port     int        `json:"protocol_port"`
		SubnetID string     `json:"subnet_id"`
	} `json:"member"`
}

// balancerRoutes serves as much of Octavia as a server's place in a pool needs.
func (c *Cloud) balancerRoutes(open, private func(string, endpoint)) {
	open("GET /load-balancer/{$}", func(*http.Request) (int, any, error) {
		return http.StatusOK, m{"versions": []m{{
			"id": "v2.0", "status": "CURRENT", "updated": "2016-12-11T00:00:00Z",
			"links": []m{{"rel": "self", "href": c.URL() + "/load-balancer/v2.0"}},
		}}}, nil
	})
	const root = "/load-balancer/v2.0/lbaas/pools"
	pooled := func(do func(*pool, *http.Request) (int, any, error)) endpoint {
		return func(r *http.Request) (int, any, error) {
			p, ok := c.pools[r.PathValue("id")]
			if !ok {
				return 0, nil, octaviaError(http.StatusNotFound, "Pool %s not found.", r.PathValue("id"))
			}
			return do(p, r)
		}
	}
	one := func(do func(*pool, *member) (int, any, error)) endpoint {
		return pooled(func(p *pool, r *http.Request) (int, any, error) {
			found, ok := p.Members[r.PathValue("member")]
			if !ok {
				return 0, nil, octaviaError(http.StatusNotFound, "Member %s not found.", r.PathValue("member"))
			}
			return do(p, found)
		})
	}
	private("GET "+root, func(r *http.Request) (int, any, error) {
		found := []m{}
		for _, p := range listed(c.pools, func(p *pool) bool { return matches(r.URL.Query().Get("name"), p.Name) }) {
			found = append(found, c.poolJSON(p))
		}
		return http.StatusOK, m{"pools": found, "pools_links": []m{}}, nil
	})
	private("POST "+root, c.createPool)
	private("GET "+root+"/{id}", pooled(func(p *pool, _ *http.Request) (int, any, error) {
		return http.StatusOK, m{"pool": c.poolJSON(p)}, nil
	}))
	private("GET "+root+"/{id}/members", pooled(func(p *pool, r *http.Request) (int, any, error) {
		found := []m{}
		for _, one := range listed(p.Members, func(one *member) bool { return matches(r.URL.Query().Get("name"), one.Name) }) {
			found = append(found, c.memberJSON(one))
		}
		return http.StatusOK, m{"members": found, "members_links": []m{}}, nil
	}))
	private("POST "+root+"/{id}/members", pooled(c.createMember))
	private("GET "+root+"/{id}/members/{member}", one(func(_ *pool, found *member) (int, any, error) {
		return http.StatusOK, m{"member": c.memberJSON(found)}, nil
	}))
	private("DELETE "+root+"/{id}/members/{member}", one(func(p *pool, found *member) (int, any, error) {
		if c.immutable(p) {
			return 0, nil, changing(p)
		}
		p.pending, found.Status = true, "PENDING_DELETE"
		c.soon(func() {
			p.pending = false
			delete(p.Members, found.ID)
		})
		return http.StatusNoContent, nil, nil
	}))
}

// immutable tells whether a pool's load balancer is taking a change in.
func (c *Cloud) immutable(p *pool) bool {
	for _, other := range c.pools {
		if other.Balancer == p.Balancer && other.pending {
			return true
		}
	}
	return false
}

func changing(p *pool) error {
	return octaviaError(http.StatusConflict, "Load Balancer %s is immutable and cannot be updated.", p.Balancer)
}

func (c *Cloud) createPool(r *http.Request) (int, any, error) {
	var req balancerRequest
	if err := readJSON(r, &req); err != nil {
		return 0, nil, err
	}
	want := req.Pool
	if want.Protocol == "" || want.Method == "" {
		return 0, nil, octaviaError(http.StatusBadRequest, "Invalid input for field/attribute pool. Mandatory field missing.")
	}
	p := &pool{head: c.begin(r, newID(), want.Name), Balancer: want.Balancer, Protocol: want.Protocol, Method: want.Method, Members: map[string]*member{}}
	if p.Balancer == "" {
		p.Balancer = newID()
	}
	c.pools[p.ID] = p
	return http.StatusCreated, m{"pool": c.poolJSON(p)}, nil
}

func (c *Cloud) createMember(p *pool, r *http.Request) (int, any, error) {
	var req balancerRequest
	if err := readJSON(r, &req); err != nil {
		return 0, nil, err
	}
	want := req.Member
	if !want.Address.IsValid() || want.Port < 1 || want.Port > 65535 {
		return 0, nil, octaviaError(http.StatusBadRequest, "Invalid input for field/attribute member.")
	}
	for _, other := range p.Members {
		if other.Address == want.Address && other.Port == want.Port {
			return 0, nil, octaviaError(http.StatusConflict, "Another member on this pool is already using ip %s on protocol_port %d", want.Address, want.Port)
		}
	}
	if c.immutable(p) {
		return 0, nil, changing(p)
	}
	one := &member{head: c.begin(r, newID(), want.Name), Address: want.Address, Port: want.Port, SubnetID: want.SubnetID, Status: "PENDING_CREATE"}
	p.Members[one.ID], p.pending = one, true
	answer := c.memberJSON(one)
	c.soon(func() { p.pending, one.Status = false, "ACTIVE" })
	return http.StatusCreated, m{"member": answer}, nil
}

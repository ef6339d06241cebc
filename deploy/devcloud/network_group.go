package devcloud

import "net/http"

// securityGroup is one of Neutron. Its rules are kept, not enforced.
type securityGroup struct {
	head
	Description string
	Rules       []m
}

func (c *Cloud) groupJSON(g *securityGroup) m {
	rules := g.Rules
	if rules == nil {
		rules = []m{}
	}
	return m{
		"id": g.ID, "name": g.Name, "description": g.Description, "security_group_rules": rules, "tenant_id": c.projectID,
		"project_id": c.projectID, "tags": []string{}, "stateful": true, "created_at": g.Created.Format("2006-01-02T15:04:05Z"),
		"updated_at": g.Created.Format("2006-01-02T15:04:05Z"),
	}
}

func noGroup(id string) error {
	return neutronError(http.StatusNotFound, "SecurityGroupNotFound", "Security group %s does not exist", id)
}

// groupNamed finds the id of a group by its name or id, "" when there is none.
func (c *Cloud) groupNamed(name string) string {
	for _, g := range oldest(c.groups) {
		if g.Name == name || g.ID == name {
			return g.ID
		}
	}
	return ""
}

func (c *Cloud) groupRoutes(private func(string, endpoint), root string) {
	private("GET "+root+"/security-groups", func(r *http.Request) (int, any, error) {
		q := r.URL.Query()
		found := []m{}
		for _, g := range listed(c.groups, func(g *securityGroup) bool { return matches(q.Get("name"), g.Name) && matches(q.Get("id"), g.ID) }) {
			found = append(found, c.groupJSON(g))
		}
		return http.StatusOK, m{"security_groups": found}, nil
	})
	private("POST "+root+"/security-groups", func(r *http.Request) (int, any, error) {
		var req struct {
			Group struct {
				Name        string `json:"name"`
				Description string `json:"description"`
			} `json:"security_group"`
		}
		if err := readJSON(r, &req); err != nil {
			return 0, nil, err
		}
		if over(c.o.Quota.SecurityGroups, len(c.groups)+1) {
			return 0, nil, neutronError(http.StatusConflict, "OverQuota", "Quota exceeded for resources: ['security_group'].")
		}
		g := &securityGroup{head: c.begin(r, newID(), req.Group.Name), Description: req.Group.Description}
		c.groups[g.ID] = g
		return http.StatusCreated, m{"security_group": c.groupJSON(g)}, nil
	})
	private("GET "+root+"/security-groups/{id}", func(r *http.Request) (int, any, error) {
		g, ok := c.groups[r.PathValue("id")]
		if !ok {
			return 0, nil, noGroup(r.PathValue("id"))
		}
		return http.StatusOK, m{"security_group": c.groupJSON(g)}, nil
	})
	private("DELETE "+root+"/security-groups/{id}", func(r *http.Request) (int, any, error) {
		id := r.PathValue("id")
		if c.groups[id] == nil {
			return 0, nil, noGroup(id)
		}
		for _, p := range c.ports {
			for _, used := range p.Groups {
				if used == id {
					return 0, nil, neutronError(http.StatusConflict, "SecurityGroupInUse", "Security Group %s in use.", id)
				}
			}
		}
		delete(c.groups, id)
		return http.StatusNoContent, nil, nil
	})
}

package devcloud

import "maps"

// Inventory is what the cloud holds, by kind, in the order of creation.
type Inventory struct {
	Servers     []Item `json:"servers"`
	Volumes     []Item `json:"volumes"`
	Images      []Item `json:"images"`
	Ports       []Item `json:"ports"`
	FloatingIPs []Item `json:"floating_ips"` // the associated ones
	Snapshots   []Item `json:"snapshots"`
	Members     []Item `json:"members"` // of load balancer pools
}

// Item is one resource.
type Item struct {
	ID       string            `json:"id"`
	Name     string            `json:"name"`
	Status   string            `json:"status"`
	Tags     []string          `json:"tags,omitempty"`
	Metadata map[string]string `json:"metadata,omitempty"`
}

// Empty tells whether nothing is left.
func (i Inventory) Empty() bool {
	return len(i.Servers)+len(i.Volumes)+len(i.Images)+len(i.Ports)+len(i.FloatingIPs)+len(i.Snapshots)+len(i.Members) == 0
}

// Inventory lists everything, hidden or not.
func (c *Cloud) Inventory() Inventory {
	c.mu.Lock()
	defer c.mu.Unlock()
	members := map[string]*member{}
	for _, p := range c.pools {
		maps.Copy(members, p.Members)
	}
	return Inventory{
		Members:   items(members, func(one *member) Item { return Item{Status: one.Status} }),
		Servers:   items(c.servers, func(s *server) Item { return Item{Status: s.Status, Metadata: s.Metadata} }),
		Volumes:   items(c.volumes, func(v *volume) Item { return Item{Status: v.Status, Metadata: v.Metadata} }),
		Images:    items(c.images, func(i *image) Item { return Item{Status: i.Status, Metadata: i.Properties} }),
		Ports:     items(c.ports, func(p *port) Item { return Item{Status: p.status()} }),
		Snapshots: items(c.snapshots, func(s *snapshot) Item { return Item{Status: s.Status, Metadata: s.Metadata} }),
		FloatingIPs: items(c.associated(), func(f *floatingIP) Item {
			return Item{Name: f.Address.String(), Status: f.status(), Metadata: map[string]string{"fixed_ip_address": c.ports[f.PortID].Address.String()}}
		}),
	}
}

// items copies, for the answer is encoded without the mutex.
func items[T resource](m map[string]T, item func(T) Item) []Item {
	out := []Item{}
	for _, v := range oldest(m) {
		i, h := item(v), v.top()
		i.ID, i.Tags = h.ID, append([]string(nil), h.Tags...)
		if i.Name == "" {
			i.Name = h.Name
		}
		i.Metadata = copied(i.Metadata)
		out = append(out, i)
	}
	return out
}

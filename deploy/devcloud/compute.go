package devcloud

import (
	"net/http"
	"slices"
	"time"
)

// server is one of Nova. Its states are BUILD, ACTIVE, REBOOT, HARD_REBOOT,
// SHUTOFF and ERROR.
type server struct {
	head
	Status, Task     string // Task: task_state, "" for none
	Flavor           flavor
	ImageID, Key     string
	Description      string
	ConfigDrive      bool
	UserData         []byte
	Files            []File
	Metadata         map[string]string
	Ports            []string
	Volumes          []attachment
	Fault            string // "" without one
	FaultAt, Updated time.Time

	machine Machine       // nil when it does not run
	turn    chan struct{} // holds one token: who has it may call the hypervisor
}

type attachment struct {
	Volume, Device string
	Tag            string
	Delete         bool // with the server
	Root           bool // the server boots from it
}

type flavor struct {
	ID, Name                         string
	RAM, VCPUs, Disk, Ephemeral, Swp int
}

func flavors() []flavor {
	return []flavor{
		{ID: "1", Name: "m1.tiny", RAM: 512, VCPUs: 1, Disk: 1}, {ID: "2", Name: "m1.small", RAM: 2048, VCPUs: 1, Disk: 20},
		{ID: "3", Name: "m1.medium", RAM: 4096, VCPUs: 2, Disk: 40}, {ID: "4", Name: "m1.ephemeral", RAM: 2048, VCPUs: 1, Disk: 20, Ephemeral: 8},
		{ID: "5", Name: "m1.huge", RAM: 1 << 21, VCPUs: 512, Disk: 20}, // exceeds the quota
	}
}

func (f flavor) json() m {
	swap := any(f.Swp)
	if f.Swp == 0 {
		swap = ""
	}
	return m{
		"id": f.ID, "name": f.Name, "ram": f.RAM, "vcpus": f.VCPUs, "disk": f.Disk, "OS-FLV-EXT-DATA:ephemeral": f.Ephemeral, "swap": swap,
		"rxtx_factor": 1.0, "os-flavor-access:is_public": true, "OS-FLV-DISABLED:disabled": false, "links": []m{},
	}
}

type keyPair struct{ Name, PublicKey, Kind string }

func (k *keyPair) json() m {
	kind := k.Kind
	if kind == "" {
		kind = "ssh"
	}
	return m{"name": k.Name, "public_key": k.PublicKey, "fingerprint": fingerprint(k.PublicKey), "type": kind}
}

func (c *Cloud) computeRoutes(open, private func(string, endpoint)) {
	about := m{
		"id": "v2.1", "status": "CURRENT", "version": "2.90", "min_version": "2.1", "updated": "2013-07-23T11:33:21Z",
		"links": []m{{"rel": "self", "href": c.URL() + "/compute/v2.1/"}},
	}
	all := func(*http.Request) (int, any, error) { return http.StatusOK, m{"versions": []any{about}}, nil }
	open("GET /compute", all)
	open("GET /compute/{$}", all)
	open("GET /compute/v2.1/{$}", func(*http.Request) (int, any, error) { return http.StatusOK, m{"version": about}, nil })
	const root = "/compute/v2.1"
	spoken := func(pattern string, e endpoint) {
		private(pattern, func(r *http.Request) (int, any, error) {
			if _, err := microversion(r); err != nil {
				return 0, nil, err
			}
			return e(r)
		})
	}
	c.serverRoutes(spoken, root)
	c.attachmentRoutes(spoken, root)
	c.keyRoutes(spoken, root)
	spoken("GET "+root+"/flavors", listFlavors)
	spoken("GET "+root+"/flavors/detail", listFlavors)
	spoken("GET "+root+"/flavors/{id}", func(r *http.Request) (int, any, error) {
		f := flavorWith(r.PathValue("id"))
		if f == nil {
			return 0, nil, novaError(http.StatusNotFound, "Flavor %s could not be found.", r.PathValue("id"))
		}
		return http.StatusOK, m{"flavor": f.json()}, nil
	})
	spoken("GET "+root+"/flavors/{id}/os-extra_specs", func(*http.Request) (int, any, error) {
		return http.StatusOK, m{"extra_specs": m{}}, nil
	})
	spoken("GET "+root+"/os-availability-zone", func(*http.Request) (int, any, error) {
		return http.StatusOK, m{"availabilityZoneInfo": []m{{"zoneName": Zone, "zoneState": m{"available": true}, "hosts": nil}}}, nil
	})
	spoken("GET "+root+"/limits", c.computeLimits)
	spoken("GET "+root+"/os-quota-sets/{tenant}", func(r *http.Request) (int, any, error) {
		q := c.o.Quota
		return http.StatusOK, m{"quota_set": m{
			"id": r.PathValue("tenant"), "instances": q.Instances, "cores": q.Cores, "ram": q.RAM, "metadata_items": q.ServerMetadata, "key_pairs": q.KeyPairs,
		}}, nil
	})
}

func flavorWith(id string) *flavor {
	for _, f := range flavors() {
		if f.ID == id {
			return &f
		}
	}
	return nil
}

func listFlavors(*http.Request) (int, any, error) {
	found := []m{}
	for _, f := range flavors() {
		found = append(found, f.json())
	}
	return http.StatusOK, m{"flavors": found}, nil
}

// used counts what the quota limits.
func (c *Cloud) used() (instances, cores, ram int) {
	for _, s := range c.servers {
		instances, cores, ram = instances+1, cores+s.Flavor.VCPUs, ram+s.Flavor.RAM
	}
	return instances, cores, ram
}

func (c *Cloud) computeLimits(*http.Request) (int, any, error) {
	instances, cores, ram := c.used()
	q := c.o.Quota
	return http.StatusOK, m{"limits": m{"rate": []m{}, "absolute": m{
		"maxTotalInstances": q.Instances, "totalInstancesUsed": instances, "maxTotalCores": q.Cores, "totalCoresUsed": cores,
		"maxTotalRAMSize": q.RAM, "totalRAMUsed": ram, "maxServerMeta": q.ServerMetadata, "maxTotalKeypairs": q.KeyPairs,
		"maxServerGroups": 10, "maxServerGroupMembers": 10, "totalServerGroupsUsed": 0,
	}}}, nil
}

func (c *Cloud) keyRoutes(private func(string, endpoint), root string) {
	private("GET "+root+"/os-keypairs", func(*http.Request) (int, any, error) {
		names := []string{}
		for name := range c.keys {
			names = append(names, name)
		}
		slices.Sort(names)
		found := []m{}
		for _, name := range names {
			found = append(found, m{"keypair": c.keys[name].json()})
		}
		return http.StatusOK, m{"keypairs": found}, nil
	})
	private("POST "+root+"/os-keypairs", func(r *http.Request) (int, any, error) {
		var req struct {
			Key struct {
				Name      string `json:"name"`
				PublicKey string `json:"public_key"`
			} `json:"keypair"`
		}
		if err := readJSON(r, &req); err != nil {
			return 0, nil, err
		}
		k := &keyPair{Name: req.Key.Name, PublicKey: req.Key.PublicKey}
		switch {
		case k.Name == "" || k.PublicKey == "":
			return 0, nil, novaError(http.StatusBadRequest, "Keypair data is invalid: a name and a public key are required")
		case c.keys[k.Name] != nil:
			return 0, nil, novaError(http.StatusConflict, "Key pair '%s' already exists.", k.Name)
		case over(c.o.Quota.KeyPairs, len(c.keys)+1):
			return 0, nil, novaError(http.StatusForbidden, "Quota exceeded, too many key pairs.")
		}
		c.keys[k.Name] = k
		return http.StatusOK, m{"keypair": k.json()}, nil
	})
	with := func(do func(*keyPair) (int, any, error)) endpoint {
		return func(r *http.Request) (int, any, error) {
			k, ok := c.keys[r.PathValue("name")]
			if !ok {
				return 0, nil, novaError(http.StatusNotFound, "Keypair %s not found for user %s", r.PathValue("name"), userID)
			}
			return do(k)
		}
	}
	private("GET "+root+"/os-keypairs/{name}", with(func(k *keyPair) (int, any, error) {
		return http.StatusOK, m{"keypair": k.json()}, nil
	}))
	private("DELETE "+root+"/os-keypairs/{name}", with(func(k *keyPair) (int, any, error) {
		delete(c.keys, k.Name)
		return http.StatusAccepted, nil, nil
	}))
}

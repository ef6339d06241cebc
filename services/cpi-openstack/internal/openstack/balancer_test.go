package openstack_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/microbosh/microbosh/deploy/devcloud"
	"github.com/microbosh/microbosh/pkg/messages"
)

// pool makes a pool of a load balancer in the world's cloud.
func (w *world) pool(name, balancer string) {
	w.t.Helper()
	do := func(url, token, body string) http.Header {
		req, err := http.NewRequestWithContext(w.t.Context(), http.MethodPost, url, strings.NewReader(body))
		if err != nil {
			w.t.Fatal(err)
		}
		req.Header.Set("X-Auth-Token", token)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			w.t.Fatal(err)
		}
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusCreated {
			w.t.Fatalf("%s answers %s", url, resp.Status)
		}
		return resp.Header
	}
	user := fmt.Sprintf(`{"name":%q,"password":%q,"domain":{"name":"Default"}}`, devcloud.User, w.cloud.Password())
	login := `{"auth":{"identity":{"methods":["password"],"password":{"user":` + user + `}},"scope":{"project":{"name":"demo","domain":{"name":"Default"}}}}}`
	token := do(w.cloud.AuthURL()+"/auth/tokens", "", login).Get("X-Subject-Token")
	do(w.cloud.URL()+"/load-balancer/v2.0/lbaas/pools", token,
		fmt.Sprintf(`{"pool":{"name":%q,"protocol":"TCP","lb_algorithm":"ROUND_ROBIN","loadbalancer_id":%q}}`, name, balancer))
}

func (w *world) balanced(image string) messages.CreateVMArgs {
	args := w.vm(image)
	args.CloudProperties = json.RawMessage(`{"instance_type":"m1.small","loadbalancer_pools":[{"name":"web","port":443},{"name":"ssh","port":2222}]}`)
	return args
}

// A VM is in each of its pools once, whatever its requests meet, and leaves them
// with its end.
func TestBalanced(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]devcloud.Fault{
		"plain":                {Mode: devcloud.ModeDelay, Path: "/members$"},
		"dropped":              {Mode: devcloud.ModeDrop, Method: "POST", Path: "/members$"},
		"twice":                {Mode: devcloud.ModeDuplicate, Method: "POST", Path: "/members$"},
		"503 after the effect": {Mode: devcloud.ModeLate503, Method: "POST", Path: "/members$"},
		"busy":                 {Mode: devcloud.ModeFail, Method: "POST", Path: "/members$", Status: 409, Message: "Load Balancer 1 is immutable and cannot be updated."},
		"cut when it leaves":   {Mode: devcloud.ModeDrop, Method: "DELETE", Path: "/members/"},
		"busy when it leaves":  {Mode: devcloud.ModeFail, Method: "DELETE", Path: "/members/", Status: 409, Message: "Load Balancer 1 is immutable and cannot be updated."},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.pool("web", "one")
			w.pool("ssh", "one")
			var image messages.CreateStemcellOutputs
			w.must(messages.MethodCreateStemcell, 1, w.stemcell(), &image)
			fault.Count = 1
			w.faults(fault)
			var vm messages.CreateVMOutputs
			w.must(messages.MethodCreateVM, 1, w.balanced(image.CID), &vm)
			inv := w.cloud.Inventory()
			if len(inv.Members) != 2 || len(inv.Servers) != 1 {
				t.Fatalf("the cloud holds %+v", inv)
			}
			for i, member := range inv.Members {
				said := inv.Servers[0].Metadata[fmt.Sprint("lbaas_pool_", i+1)]
				if _, named, _ := strings.Cut(said, "/"); named != member.ID || member.Name != tags(messages.MethodCreateVM, 1).Step {
					t.Errorf("the member is %+v, the server says %q", member, said)
				}
			}
			w.must(messages.MethodDeleteVM, 1, messages.DeleteVMArgs{VMCID: vm.CID, Name: w.vmName, Owner: w.vm("").Tags.Step}, nil)
			if inv := w.cloud.Inventory(); len(inv.Members)+len(inv.Servers) != 0 {
				t.Errorf("left behind: %+v", inv)
			}
		})
	}
}

// A VM that cannot be in its pools is not there at all.
func TestBalancedRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.pool("web", "one")
	w.pool("twin", "one")
	w.pool("twin", "two")
	var image messages.CreateStemcellOutputs
	w.must(messages.MethodCreateStemcell, 1, w.stemcell(), &image)
	n := 0
	refuse := func(pools string, want messages.Code, says string) {
		t.Helper()
		n++
		args := w.vm(image.CID)
		args.Tags = tags(messages.MethodCreateVM, n)
		args.CloudProperties = json.RawMessage(`{"loadbalancer_pools":` + pools + `}`)
		r := w.do(messages.MethodCreateVM, n, args)
		if r.Status != messages.ResultFailed || r.Error.Code != want || !strings.Contains(r.Error.Message, says) {
			t.Errorf("%s: result is %+v (%v)", pools, r, r.Error)
		}
		if inv := w.cloud.Inventory(); len(inv.Members)+len(inv.Servers)+len(inv.Ports) != 0 {
			t.Errorf("%s: left behind %+v", pools, inv)
		}
	}
	refuse(`[{"name":"lost","port":443}]`, messages.CodeCloudNotFound, "lost")
	refuse(`[{"name":"twin","port":443}]`, messages.CodeManifestInvalid, "twin")
	refuse(`[{"name":"web"}]`, messages.CodeManifestInvalid, "port")
	refuse(`[{"port":443}]`, messages.CodeManifestInvalid, "name")
	refuse(`["web"]`, messages.CodeManifestInvalid, "cloud_properties")
	w.faults(devcloud.Fault{Mode: devcloud.ModeFail, Method: "POST", Path: "/members$", Status: 403, Message: "Quota has been met for resources: member"})
	refuse(`[{"name":"web","port":443}]`, messages.CodeCloudQuota, "Quota")
}

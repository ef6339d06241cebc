package openstack

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gophercloud/gophercloud/v2/openstack/networking/v2/extensions/security/groups"

	"github.com/microbosh/microbosh/pkg/messages"
)

func TestParseNetworks(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, networks, fails string
		groups                []string
	}{
		{"dynamic", `{"bosh":{"type":"dynamic"}}`, "", nil},
		{"manual by default", `{"bosh":{"ip":"10.0.0.5","cloud_properties":{"net_id":"n","security_groups":["b","a"]}}}`, "", []string{"a", "b"}},
		{"with vip", `{"bosh":{"type":"dynamic","cloud_properties":{"security_groups":["a"]}},"vip":{"type":"vip","ip":"203.0.113.1","cloud_properties":{"security_groups":["v","a"]}}}`, "", []string{"a", "v"}},
		{"none", `{}`, "At least one dynamic or manual network", nil},
		{"only vip", `{"vip":{"type":"vip","ip":"203.0.113.1"}}`, "At least one dynamic or manual network", nil},
		{"two vips", `{"a":{"type":"vip","ip":"203.0.113.1"},"b":{"type":"vip","ip":"203.0.113.2"}}`, "More than one vip", nil},
		{"vip without address", `{"vip":{"type":"vip"}}`, "No IP provided for vip network `vip'", nil},
		{"manual without network", `{"bosh":{"type":"manual","ip":"10.0.0.5"}}`, "must have net_id", nil},
		{"groups in words", `{"bosh":{"type":"dynamic","cloud_properties":{"security_groups":"a"}}}`, "must be an Array", nil},
		{"unknown", `{"bosh":{"type":"carrier pigeon"}}`, "Invalid network type `carrier pigeon'", nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			var all map[string]messages.Network
			if err := json.Unmarshal([]byte(tc.networks), &all); err != nil {
				t.Fatal(err)
			}
			n, err := parseNetworks(all)
			if tc.fails != "" {
				if messages.CodeOf(err) != messages.CodeManifestInvalid || !strings.Contains(err.Error(), tc.fails) {
					t.Fatalf("got %v, want %q", err, tc.fails)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.groups, n.groupNames(nil, properties{})); diff != "" {
				t.Error(diff)
			}
			if own := n.groupNames([]string{"own"}, properties{}); own[0] != "own" {
				t.Errorf("the VM's own groups lost to %v", own)
			}
		})
	}
}

func TestWithDisk(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ name, have, path, want string }{
		{"first", `{"agent_id":"a","disks":{"system":"/dev/sda"},"extra":1}`, "/dev/sdc", `{"agent_id":"a","disks":{"persistent":{"v":"/dev/sdc"},"system":"/dev/sda"},"extra":1}`},
		{"no disks at all", `{}`, "/dev/sdb", `{"disks":{"persistent":{"v":"/dev/sdb"}}}`},
		{"null", `{"disks":{"persistent":null}}`, "/dev/sdb", `{"disks":{"persistent":{"v":"/dev/sdb"}}}`},
		{"the same again", `{"disks": {"persistent": {"v": "/dev/sdb"}}}`, "/dev/sdb", `{"disks": {"persistent": {"v": "/dev/sdb"}}}`},
		{"moved, beside another", `{"disks":{"persistent":{"u":{"path":"x"},"v":"/dev/sdb"}}}`, "/dev/sdd", `{"disks":{"persistent":{"u":{"path":"x"},"v":"/dev/sdd"}}}`},
		{"removed", `{"disks":{"persistent":{"u":"/dev/sdb","v":"/dev/sdc"}}}`, "", `{"disks":{"persistent":{"u":"/dev/sdb"}}}`},
		{"was not there", `{"disks":{}}`, "", `{"disks":{}}`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			got, err := withDisk([]byte(tc.have), "v", tc.path)
			if err != nil || string(got) != tc.want {
				t.Errorf("got %s (%v), want %s", got, err, tc.want)
			}
		})
	}
	if _, err := withDisk([]byte(`{"disks":[]}`), "v", "/dev/sdb"); err == nil {
		t.Error("unreadable settings were changed")
	}
}

// An operator sees the groups of all projects.
func TestOwnGroupFirst(t *testing.T) {
	t.Parallel()
	have := []groups.SecGroup{
		{ID: "1", Name: "default", ProjectID: "theirs"}, {ID: "2", Name: "default", ProjectID: "mine"}, {ID: "3", Name: "shared", TenantID: "theirs"}, {ID: "4", Name: "1", ProjectID: "mine"},
	}
	for _, tc := range []struct{ project, name, want string }{
		{"mine", "default", "2"}, {"theirs", "default", "1"}, {"", "default", "1"}, {"mine", "shared", "3"}, {"mine", "1", "1"}, {"mine", "none", ""},
	} {
		got := ""
		if i := (&session{project: tc.project}).groupIn(have, tc.name); i >= 0 {
			got = have[i].ID
		}
		if got != tc.want {
			t.Errorf("%s of %q is %q, want %q", tc.name, tc.project, got, tc.want)
		}
	}
}

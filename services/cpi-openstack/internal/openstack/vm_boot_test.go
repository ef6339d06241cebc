package openstack

import (
	"encoding/json"
	"testing"

	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/flavors"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/servers"

	"github.com/microbosh/microbosh/pkg/messages"
)

func TestBootDisk(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		everywhere bool
		own        string
		flavor     int
		size       int // -1: refused, 0: none
	}{
		"the image":            {false, `{"root_disk":{"size":9}}`, 20, 0},
		"a volume everywhere":  {true, `{}`, 20, 20},
		"but not here":         {true, `{"boot_from_volume":false}`, 20, 0},
		"only here":            {false, `{"boot_from_volume":true}`, 20, 20},
		"of its own size":      {true, `{"root_disk":{"size":9}}`, 20, 9},
		"nobody says the size": {true, `{}`, 0, -1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := &vm{session: &session{}}
			v.session.OpenStack.BootFromVolume = tc.everywhere
			if err := json.Unmarshal([]byte(tc.own), &v.own); err != nil {
				t.Fatal(err)
			}
			options := servers.CreateOpts{Name: "vm-1", FlavorRef: "f", ImageRef: "i"}
			err := v.bootDisk(&options, flavors.Flavor{Name: "m1", Disk: tc.flavor})
			switch {
			case tc.size < 0:
				if messages.CodeOf(err) != messages.CodeManifestInvalid {
					t.Errorf("got %v", err)
				}
			case err != nil:
				t.Error(err)
			case tc.size == 0:
				if len(options.BlockDevice) != 0 || options.ImageRef != "i" {
					t.Errorf("options are %+v", options)
				}
			default:
				d := options.BlockDevice[0]
				if d.VolumeSize != tc.size || d.UUID != "i" || d.BootIndex != 0 || !d.DeleteOnTermination || options.ImageRef != "" {
					t.Errorf("options are %+v", options)
				}
			}
		})
	}
}

func TestHints(t *testing.T) {
	t.Parallel()
	for own, want := range map[string]string{
		`{}`: `{}`, `{"scheduler_hints":{"group":"g","custom":["a",1]}}`: `{"os:scheduler_hints":{"custom":["a",1],"group":"g"}}`,
	} {
		var p vmProperties
		if err := json.Unmarshal([]byte(own), &p); err != nil {
			t.Fatal(err)
		}
		beside, err := p.SchedulerHints.ToSchedulerHintsMap()
		if err != nil {
			t.Fatal(err)
		}
		if got, err := json.Marshal(beside); err != nil || string(got) != want {
			t.Errorf("%s becomes %s (%v)", own, got, err)
		}
	}
}

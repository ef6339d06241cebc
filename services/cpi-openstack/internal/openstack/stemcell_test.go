package openstack

import (
	"strings"
	"testing"

	"github.com/microbosh/microbosh/pkg/messages"
)

// A stemcell tells which cloud it is made for; the manifest has the last word.
func TestStemcellOfAnotherCloud(t *testing.T) {
	t.Parallel()
	type m = map[string]any
	for _, tc := range []struct {
		name                       string
		archive, command, manifest m
		refused                    string // what it is made for
	}{
		{"ours", m{"infrastructure": "openstack", "disk_format": "qcow2"}, nil, nil, ""},
		{"one that says nothing", nil, nil, nil, ""},
		{"another's", m{"infrastructure": "vsphere"}, nil, nil, "vsphere"},
		{"another's, as the command found it", nil, m{"infrastructure": "aws"}, nil, "aws"},
		{"another's, against the manifest", m{"infrastructure": "vsphere"}, nil, m{"infrastructure": "openstack"}, ""},
		{"ours, against the manifest", m{"infrastructure": "openstack"}, nil, m{"infrastructure": "google"}, "google"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			u := &upload{session: &session{properties: properties{Stemcell: tc.manifest}}, about: tc.command}
			err := u.describe(tc.archive)
			if tc.refused == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if messages.CodeOf(err) != messages.CodeStemcellInvalid || !strings.Contains(err.Error(), "made for "+tc.refused+", not for openstack") {
				t.Errorf("the error is %v", err)
			}
		})
	}
}

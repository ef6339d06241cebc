package cli

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/microbosh/microbosh/pkg/messages"
)

func TestRebuildGuessesNothing(t *testing.T) {
	t.Parallel()
	vm := messages.Resource{Kind: messages.KindVM, CID: "vm-1", Name: "vm-a", Status: "ACTIVE", Step: "aaaaaaaaaaaa-create_vm-1"}
	disk := messages.Resource{Kind: messages.KindDisk, CID: "vol-1", Step: "aaaaaaaaaaaa-create_disk-1"}
	other := messages.Resource{Kind: messages.KindDisk, CID: "vol-2", Step: "aaaaaaaaaaaa-create_disk-2"}
	image := messages.Resource{Kind: messages.KindStemcell, CID: "image-1", Name: "cell", Step: "aaaaaaaaaaaa-create_stemcell-1"}
	port := messages.Resource{Kind: messages.KindPort, CID: "port-1", Step: "aaaaaaaaaaaa-create_vm-1"}
	foreign := messages.Resource{Kind: messages.KindDisk, CID: "vol-9", Step: "bbbbbbbbbbbb-create_disk-1"}
	whole := messages.Import{VMCID: "vm-1", DiskCID: "vol-1", StemcellCID: "image-1", StemcellName: "cell", From: "aaaaaaaaaaaa"}
	for name, c := range map[string]struct {
		flags   rebuildFlags
		found   []messages.Resource
		want    messages.Import
		refusal string
	}{
		"one of each":       {rebuildFlags{}, []messages.Resource{vm, disk, image, port}, whole, ""},
		"nothing":           {rebuildFlags{}, nil, messages.Import{}, "neither the journal nor the cloud knows anything of `micro'"},
		"two disks":         {rebuildFlags{}, []messages.Resource{vm, disk, other}, messages.Import{}, "several disks of `micro', and nothing says which one is meant: disk vol-1"},
		"one is chosen":     {rebuildFlags{disk: "vol-1"}, []messages.Resource{vm, disk, other, image}, whole, ""},
		"none is that":      {rebuildFlags{disk: "vol-7"}, []messages.Resource{vm, disk}, messages.Import{}, "the cloud has no disk vol-7"},
		"two deployments":   {rebuildFlags{}, []messages.Resource{vm, disk, foreign}, messages.Import{}, "several deployments named `micro'"},
		"the chosen one":    {rebuildFlags{uid: "bbbbbbbbbbbb"}, []messages.Resource{vm, foreign}, messages.Import{DiskCID: "vol-9", From: "bbbbbbbbbbbb"}, ""},
		"a step id by hand": {rebuildFlags{}, []messages.Resource{{Kind: messages.KindVM, CID: "x", Step: "what?"}}, messages.Import{}, "neither the journal"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := c.flags.choose("micro", c.found)
			if c.refusal != "" {
				if err == nil || !strings.Contains(err.Error(), c.refusal) {
					t.Fatalf("got %+v, %v; want %q", got, err, c.refusal)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

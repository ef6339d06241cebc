package linux

import (
	"testing"

	"golang.org/x/sys/unix"
)

func TestSwapIsAsTheOriginalSizedIt(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ memory, disk, want int64 }{
		{3951616, 7903232, 3859}, {8 << 20, 4 << 20, 2048}, {1 << 20, 100 << 20, 1024},
	} {
		if got := swapMiB(c.memory, c.disk); got != c.want {
			t.Errorf("%+v: got %d", c, got)
		}
	}
}

func TestMountsAreReadWithTheirSpaces(t *testing.T) {
	t.Parallel()
	m := parseMounts("36 35 98:0 / /mnt1 rw,noatime master:1 - ext3 /dev/root rw\n" +
		"37 35 259:3 / /var/a\\040b rw - ext4 /dev/sdb2 rw\nnonsense\n38 35 0:5 / /mnt1 rw - tmpfs none rw\n")
	if len(m) != 3 {
		t.Fatalf("got %+v", m)
	}
	if top, ok := m.at("/mnt1"); !ok || top.kind != "tmpfs" {
		t.Errorf("got %+v", top)
	}
	if at, ok := m.of(unix.Mkdev(259, 3)); !ok || at.point != "/var/a b" {
		t.Errorf("got %+v", at)
	}
}

func TestMountOptions(t *testing.T) {
	t.Parallel()
	flags, data, err := mountOptions([]string{"noatime,nodev", "discard", "ro"})
	if err != nil || flags != unix.MS_NOATIME|unix.MS_NODEV|unix.MS_RDONLY || data != "discard" {
		t.Errorf("got %x %q %v", flags, data, err)
	}
}

func TestOnlyOurTablesAreOurs(t *testing.T) {
	t.Parallel()
	type part = struct {
		Node  string `json:"node"`
		Start int64  `json:"start"`
		Size  int64  `json:"size"`
		Type  string `json:"type"`
		Name  string `json:"name"`
	}
	for name, c := range map[string]struct {
		table                 partTable
		ephemeral, persistent bool
	}{
		"ours":               {partTable{Label: "gpt", Partitions: []part{{Name: nameSwap}, {Name: nameData}}}, true, false},
		"the original's":     {partTable{Label: "dos", Partitions: []part{{Type: "82"}, {Type: "83"}}}, true, false},
		"our store":          {partTable{Label: "gpt", Partitions: []part{{Name: nameStore}}}, false, true},
		"today's store":      {partTable{Label: "gpt", Partitions: []part{{Name: "bosh-partition-0"}}}, false, true},
		"a root disk":        {partTable{Label: "dos", Partitions: []part{{Type: "83"}, {Type: "82"}}}, false, false},
		"one more":           {partTable{Label: "gpt", Partitions: []part{{Name: nameSwap}, {Name: nameData}, {}}}, false, false},
		"an unnamed one":     {partTable{Label: "gpt", Partitions: []part{{}}}, false, false},
		"the store, in DOS":  {partTable{Label: "dos", Partitions: []part{{Name: nameStore}}}, false, false},
		"an empty partition": {partTable{Label: "gpt"}, false, false},
	} {
		if c.table.ephemeral() != c.ephemeral || c.table.persistent() != c.persistent {
			t.Errorf("%s: got %v %v", name, c.table.ephemeral(), c.table.persistent())
		}
	}
}

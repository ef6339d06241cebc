package linux

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"strings"
)

// Partition types as GPT names them, and the names that make a table ours.
const (
	typeSwap   = "0657FD6D-A4AB-43C4-84E5-0933C84B4F4F"
	typeLinux  = "0FC63DAF-8483-4772-8E79-3D69D8477DE4"
	nameSwap   = "bosh-swap"
	nameData   = "bosh-data"
	nameStore  = "bosh-store"
	namesToday = "bosh-partition-" // of today's BOSH agent
)

// partTable is what sfdisk says.
type partTable struct {
	Label      string `json:"label"`
	SectorSize int64  `json:"sectorsize"`
	Partitions []struct {
		Node  string `json:"node"`
		Start int64  `json:"start"`
		Size  int64  `json:"size"`
		Type  string `json:"type"`
		Name  string `json:"name"`
	} `json:"partitions"`
}

func readTable(ctx context.Context, b block) (partTable, error) {
	out, err := run(ctx, "", "sfdisk", "--json", b.path)
	if err != nil {
		return partTable{}, err
	}
	var reply struct {
		Table partTable `json:"partitiontable"`
	}
	if err := json.Unmarshal([]byte(out), &reply); err != nil {
		return partTable{}, fmt.Errorf("cannot read the partitions of %s: %w", b.path, err)
	}
	return reply.Table, nil
}

// names tells whether the partitions bear exactly these.
func (t partTable) names(want ...string) bool {
	if t.Label != "gpt" || len(t.Partitions) != len(want) {
		return false
	}
	for i, name := range want {
		if t.Partitions[i].Name != name {
			return false
		}
	}
	return true
}

// ephemeral tells whether this agent, or one before it, made the table: swap
// and data.
func (t partTable) ephemeral() bool {
	const dosSwap, dosLinux = "82", "83"
	return t.names(nameSwap, nameData) ||
		t.Label == "dos" && len(t.Partitions) == 2 && t.Partitions[0].Type == dosSwap && t.Partitions[1].Type == dosLinux
}

// persistent tells whether an agent made the table for one partition, which may
// then be formatted if it never was.
func (t partTable) persistent() bool {
	return t.names(nameStore) || t.Label == "gpt" && len(t.Partitions) == 1 && strings.HasPrefix(t.Partitions[0].Name, namesToday)
}

// newPartition is a line for sfdisk; size 0 is the rest.
type newPartition struct {
	name, kind string
	mib        int64
}

// writeTable writes a table in one go, onto a blank device.
func writeTable(ctx context.Context, b block, parts ...newPartition) error {
	var script strings.Builder
	script.WriteString("label: gpt\n")
	for _, p := range parts {
		if p.mib > 0 {
			fmt.Fprintf(&script, "size=%dMiB, ", p.mib)
		}
		fmt.Fprintf(&script, "type=%s, name=\"%s\"\n", p.kind, p.name)
	}
	// The kernel is told by known: sfdisk would sync every disk of the machine before.
	if _, err := run(ctx, script.String(), "sfdisk", "--quiet", "--no-tell-kernel", b.path); err != nil {
		return fmt.Errorf("cannot partition %s: %w", b.path, err)
	}
	return nil
}

// known finds a partition that the table has. A kill, or a kernel that was not
// told, is healed by reading the table again; a kernel that does not know this
// kind of table is told partition by partition.
func (b block) known(ctx context.Context, n int) (block, error) {
	p, err := b.partition(n)
	if !errors.Is(err, fs.ErrNotExist) {
		return p, err
	}
	reread := b.reread()
	if p, err = b.partition(n); !errors.Is(err, fs.ErrNotExist) {
		return p, err
	}
	table, err := readTable(ctx, b)
	if err != nil {
		return block{}, errors.Join(reread, err)
	}
	unit := table.SectorSize
	if unit == 0 {
		unit = sector
	}
	for i, part := range table.Partitions { // all: reading again forgot those it knew
		if _, err := b.partition(i + 1); !errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err := b.tell(i+1, part.Start*unit, part.Size*unit); err != nil {
			return block{}, errors.Join(reread, err)
		}
	}
	return b.partition(n)
}

package openstack

import (
	"bytes"
	"encoding/json"
	"maps"

	"github.com/microbosh/microbosh/pkg/messages"
)

// withDisk records in settings where a disk is attached; an empty path removes
// it.
func withDisk(settings []byte, disk, path string) ([]byte, error) {
	return changeDisks(settings, func(disks map[string]json.RawMessage) (bool, error) {
		have := disks[disk]
		if path == "" {
			delete(disks, disk)
			return have != nil, nil
		}
		next, err := json.Marshal(path)
		disks[disk] = next
		return !bytes.Equal(have, next), err
	})
}

// withDisksOf gives settings with the disks that other settings record.
func withDisksOf(settings, other []byte) ([]byte, error) {
	var recorded map[string]json.RawMessage
	_, err := changeDisks(other, func(disks map[string]json.RawMessage) (bool, error) {
		recorded = disks
		return false, nil
	})
	if err != nil || len(recorded) == 0 {
		return settings, err
	}
	return changeDisks(settings, func(disks map[string]json.RawMessage) (bool, error) {
		maps.Copy(disks, recorded)
		return true, nil
	})
}

// changeDisks changes disks.persistent and leaves everything else as it was,
// also what this program knows nothing of. change tells whether it did.
func changeDisks(settings []byte, change func(map[string]json.RawMessage) (bool, error)) ([]byte, error) {
	tree, err := branch(settings)
	if err != nil {
		return nil, err
	}
	disks, err := branch(tree["disks"])
	if err != nil {
		return nil, err
	}
	persistent, err := branch(disks["persistent"])
	if err != nil {
		return nil, err
	}
	changed, err := change(persistent)
	if err != nil || !changed {
		return settings, err
	}
	if disks["persistent"], err = json.Marshal(persistent); err != nil {
		return nil, err
	}
	if tree["disks"], err = json.Marshal(disks); err != nil {
		return nil, err
	}
	return json.Marshal(tree)
}

func branch(raw json.RawMessage) (map[string]json.RawMessage, error) {
	out := map[string]json.RawMessage{}
	if len(raw) == 0 || string(raw) == "null" {
		return out, nil
	}
	if json.Unmarshal(raw, &out) != nil {
		return nil, messages.Errorf(messages.CodeMalformed, "the stored settings cannot be read")
	}
	return out, nil
}

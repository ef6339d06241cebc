package seal

import (
	"fmt"
	"maps"
	"os"
	"slices"

	"github.com/nats-io/nkeys"
)

// OldKey is a key that a role no longer seals with.
type OldKey struct{ Path, Public string }

// OldKeys lists those of a role, the oldest first.
func OldKeys(dir, role string) ([]OldKey, error) {
	if err := checkRole(role); err != nil {
		return nil, err
	}
	numbers, err := oldKeys(dir, role)
	if err != nil {
		return nil, fmt.Errorf("cannot list the old keys of %s: %w", role, err)
	}
	var out []OldKey
	for _, n := range slices.Sorted(maps.Keys(numbers)) {
		path := oldPath(dir, role, n)
		seed, err := readSeed(path)
		if err != nil {
			return nil, fmt.Errorf("cannot read the old key of %s: %w", role, err)
		}
		pair, err := nkeys.FromCurveSeed(seed)
		if err != nil {
			return nil, fmt.Errorf("cannot read the old key of %s in %s: %w", role, path, err)
		}
		public, err := pair.PublicKey()
		pair.Wipe()
		if err != nil {
			return nil, fmt.Errorf("cannot read the old key of %s in %s: %w", role, path, err)
		}
		out = append(out, OldKey{path, public})
	}
	return out, nil
}

// Forget removes an old key: what is sealed to it can never be opened again.
func (k OldKey) Forget() error {
	if err := os.Remove(k.Path); err != nil {
		return fmt.Errorf("cannot remove an old key: %w", err)
	}
	return nil
}

package home

import (
	"fmt"
	"path/filepath"
	"strings"
)

// VarVcap is where the base folder is on a real VM; settings, specs and monit
// files name paths below it.
const VarVcap = "/var/vcap"

// Dir is the base folder and the root folder that it belongs to.
type Dir struct {
	base, root string
}

// New checks the folders. An empty root is the one that base lies in: /x for
// /x/var/vcap, else base itself, so that no path of the host is meant by
// accident.
func New(base, root string) (Dir, error) {
	if base == "" {
		return Dir{}, fmt.Errorf("cannot use the base folder: it is empty")
	}
	base, err := filepath.Abs(base)
	if err != nil {
		return Dir{}, fmt.Errorf("cannot use the base folder %q: %w", base, err)
	}
	if root == "" {
		root = base
		if above, ok := strings.CutSuffix(base, VarVcap); ok {
			root = above + "/"
		}
	}
	if root, err = filepath.Abs(root); err != nil {
		return Dir{}, fmt.Errorf("cannot use the root folder %q: %w", root, err)
	}
	return Dir{base: base, root: root}, nil
}

// Base is the base folder.
func (d Dir) Base() string { return d.base }

// Root is the VM's root folder.
func (d Dir) Root() string { return d.root }

// Join is a path below the base folder.
func (d Dir) Join(elem ...string) string {
	return filepath.Join(append([]string{d.base}, elem...)...)
}

// Bosh is a path below <base>/bosh, the agent's own files.
func (d Dir) Bosh(elem ...string) string {
	return filepath.Join(append([]string{d.base, "bosh"}, elem...)...)
}

// Place finds a path that settings, specs and monit files name as on a real
// VM: what is below /var/vcap is below the base folder, the rest stays.
func (d Dir) Place(path string) string {
	clean := filepath.Clean(path)
	if clean == VarVcap {
		return d.base
	}
	if rest, ok := strings.CutPrefix(clean, VarVcap+"/"); ok {
		return filepath.Join(d.base, rest)
	}
	return path
}

// Device finds a device's path below the root folder.
func (d Dir) Device(path string) string {
	if d.root == "/" || strings.HasPrefix(path, d.root+"/") {
		return path
	}
	return filepath.Join(d.root, path)
}

package linux

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/microbosh/microbosh/services/agent/internal/watch"
)

// byID is where udev, and devcloud, name disks by what the IaaS calls them.
const (
	byID     = "/dev/disk/by-id"
	virtioID = "virtio-"
)

// names are those that a hypervisor may give to a disk; the last that exists is
// the one, as in the original.
func (l *Linux) names(path string) []string {
	if id, ok := strings.CutPrefix(path, byID+"/"+virtioID); ok {
		prefix := "*"
		if l.virtioID != virtioID {
			prefix = escape(l.virtioID)
		}
		found, err := filepath.Glob(filepath.Join(byID, prefix+escape(id)+"*"))
		if err != nil {
			return []string{path}
		}
		out := []string{}
		for _, name := range found {
			if !strings.Contains(filepath.Base(name), "-part") {
				out = append(out, name)
			}
		}
		return append(out, path)
	}
	if letter, ok := strings.CutPrefix(path, "/dev/sd"); ok {
		return []string{path, "/dev/vd" + letter, "/dev/xvd" + letter}
	}
	return []string{path}
}

// escape takes a glob's meaning from characters.
func escape(s string) string {
	return strings.NewReplacer(`\`, `\\`, "*", `\*`, "?", `\?`, "[", `\[`).Replace(s)
}

// Present looks once.
func (l *Linux) Present(path string) (string, bool) {
	found := ""
	for _, name := range l.names(path) {
		if b, err := openBlock(name); err == nil {
			if size, err := b.size(); err == nil && size > 0 {
				found = b.path
			}
		}
	}
	return found, found != ""
}

// Device waits until the disk is there, by the events of /dev.
func (l *Linux) Device(ctx context.Context, path string) (string, error) {
	tried := l.names(path)
	ctx, cancel := context.WithTimeoutCause(ctx, l.wait, fmt.Errorf("Timed out waiting for %v", tried)) //nolint:staticcheck // BOSH's text
	defer cancel()
	var device string
	err := watch.Until(ctx, tried, func() (ok bool, _ error) {
		device, ok = l.Present(path)
		return ok, nil
	})
	return device, err
}

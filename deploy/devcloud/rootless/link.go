package rootless

import (
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// symlink makes one that stays in the image. An absolute target means the
// image's own root, so it becomes a relative one.
func symlink(root *os.Root, name, target string) error {
	// A link's target counts from where the link lies; behind another link that
	// is elsewhere than its name says.
	for dir := path.Dir(name); dir != "."; dir = path.Dir(dir) {
		info, err := root.Lstat(dir)
		if err != nil {
			return err
		}
		if !info.IsDir() {
			return fmt.Errorf("it is a link that lies behind the link %q", dir)
		}
	}
	up := strings.Count(name, "/")
	if path.IsAbs(target) {
		target = strings.Repeat("../", up) + strings.TrimPrefix(path.Clean(target), "/")
		if strings.HasSuffix(target, "/") || target == "" {
			target += "."
		}
	}
	if !staysInside(up, target) {
		return fmt.Errorf("it leads out of the image, to %q", target)
	}
	return root.Symlink(target, name)
}

// staysInside judges a relative target of a link that lies so many folders
// below the root. It may go up first, then only down: going up later could pass
// through another link.
func staysInside(depth int, target string) bool {
	down := false
	for part := range strings.SplitSeq(target, "/") {
		switch part {
		case "", ".":
		case "..":
			if depth--; down || depth < 0 {
				return false
			}
		default:
			down = true
		}
	}
	return target != ""
}

// link makes a hard link to a file of the image. One to a symlink would move
// where that leads.
func link(root *os.Root, name, target string) error {
	if !filepath.IsLocal(target) {
		return errors.New("it leads out of the image")
	}
	info, err := root.Lstat(target)
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("it leads to %q, which is no file", target)
	}
	return root.Link(target, name)
}

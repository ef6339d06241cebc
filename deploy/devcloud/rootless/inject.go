package rootless

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/microbosh/microbosh/deploy/devcloud"
)

// Inject writes files below dir, in place of those that the image has there.
// os.Root keeps them inside, also behind the image's links.
func Inject(dir string, files []devcloud.File) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return fmt.Errorf("cannot inject files: %w", err)
	}
	defer root.Close()
	for _, f := range files {
		if err := inject(root, filepath.Clean("/" + f.Path)[1:], f.Data); err != nil {
			return fmt.Errorf("cannot inject %s: %w", f.Path, err)
		}
	}
	return nil
}

func inject(root *os.Root, name string, data []byte) error {
	if name == "" {
		return errors.New("it has no name")
	}
	if err := root.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	// The image's own is shared with other servers.
	if err := root.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return root.WriteFile(name, data, 0o600)
}

package stemcell

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/microbosh/microbosh/pkg/stemcell"
)

//go:embed recipe
var recipe embed.FS

const overlay = "recipe/root"

// packages are those that debootstrap installs, in the recipe's order.
func packages() ([]string, error) {
	text, err := recipe.ReadFile("recipe/packages")
	if err != nil {
		return nil, err
	}
	var names []string
	for line := range strings.Lines(string(text)) {
		if name := strings.TrimSpace(line); name != "" && name[0] != '#' {
			names = append(names, name)
		}
	}
	return names, nil
}

// System are the files that make Debian a stemcell.
func System() ([]stemcell.File, error) {
	var files []stemcell.File
	err := fs.WalkDir(recipe, overlay, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		data, err := recipe.ReadFile(path)
		if err != nil {
			return err
		}
		files = append(files, stemcell.File{Path: strings.TrimPrefix(path, overlay+"/"), Mode: 0o644, Data: data})
		return nil
	})
	return files, err
}

// scripts writes the recipe's programs into a folder.
func scripts(dir string) error {
	for _, name := range []string{"base", "image", "common.sh", "initrd.sh"} {
		data, err := recipe.ReadFile("recipe/" + name)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o700); err != nil {
			return fmt.Errorf("cannot write the recipe: %w", err)
		}
	}
	return nil
}

// baseName is the name of Debian's tar in the cache: another recipe, suite or
// mirror is another one.
func baseName(suite, mirror string) (string, error) {
	sum := sha256.New()
	fmt.Fprintf(sum, "%s\n%s\n", suite, mirror)
	for _, name := range []string{"packages", "base", "common.sh", "initrd.sh"} {
		data, err := recipe.ReadFile("recipe/" + name)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(sum, "%s %d\n%s", name, len(data), data)
	}
	return "base-" + suite + "-" + hex.EncodeToString(sum.Sum(nil)[:8]) + ".tar", nil
}

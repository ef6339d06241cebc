package stemcell

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// Root gives what builds a disk and writes it out, for stemcell.Options.
func Root(ctx context.Context, o Options) func(io.Writer) error {
	return func(out io.Writer) error {
		dir, err := os.MkdirTemp("", "microbosh-disk-")
		if err != nil {
			return fmt.Errorf("cannot build a disk: %w", err)
		}
		defer os.RemoveAll(dir)
		path := filepath.Join(dir, "disk")
		if err := Disk(ctx, o, path); err != nil {
			return err
		}
		disk, err := os.Open(path)
		if err != nil {
			return fmt.Errorf("cannot read the disk: %w", err)
		}
		defer disk.Close()
		if o.Say != nil {
			o.Say("packing the stemcell")
		}
		_, err = io.Copy(out, disk)
		return err
	}
}

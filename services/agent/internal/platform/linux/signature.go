package linux

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// signature is what lies on a device.
type signature struct {
	FS, Label, UUID string
	Table           string // kind of partition table
}

// blank tells that nothing known is there.
func (s signature) blank() bool { return s == signature{} }

// String is for refusals.
func (s signature) String() string {
	switch {
	case s.Table != "":
		return "a partition table (" + s.Table + ")"
	case s.Label != "":
		return fmt.Sprintf("%s %q", s.FS, s.Label)
	default:
		return s.FS
	}
}

// probe reads the device itself, past every cache.
func probe(ctx context.Context, path string) (signature, error) {
	out, err := run(ctx, "", "blkid", "-p", "-o", "export", path)
	var end *toolError
	const nothing = 2
	if errors.As(err, &end) && end.code == nothing {
		return signature{}, nil
	}
	if err != nil { // ambivalent ones too: two signatures are never blank
		return signature{}, fmt.Errorf("cannot tell what is on %s: %w", path, err)
	}
	var s signature
	other := false
	for line := range strings.Lines(out) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		switch key {
		case "TYPE":
			s.FS = value
		case "LABEL":
			s.Label = value
		case "UUID":
			s.UUID = value
		case "PTTYPE":
			s.Table = value
		case "USAGE":
			other = true
		}
	}
	if s.blank() && other {
		s.FS = "something unknown"
	}
	return s, nil
}

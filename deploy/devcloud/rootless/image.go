package rootless

import "context"

// Unpack writes an image's files below dir, for another hypervisor that wants
// them with the same care.
func Unpack(ctx context.Context, image, dir string) error { return unpack(ctx, image, dir) }

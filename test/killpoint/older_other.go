//go:build !amd64

package killpoint

// older are the calls that only amd64 still has.
func older() map[uint32]string { return nil }

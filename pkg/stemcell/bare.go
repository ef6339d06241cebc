package stemcell

import (
	"crypto/sha1"
	"encoding/hex"
	"io"
)

// OpenImage verifies a member image that somebody took out of its stemcell, as
// a Director does before it calls a CPI: an archive that holds root.img. What
// stemcell.MF says of it is not known.
func OpenImage(path string) (*Stemcell, error) {
	f, err := openArchive(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, unreadable(path, err)
	}
	sum := sha1.New()
	all := io.TeeReader(f, sum)
	root, err := find(path, all, memberRoot)
	if err != nil {
		return nil, err
	}
	if root == nil {
		return nil, invalid(path, "Root image is missing from stemcell archive")
	}
	if _, err := io.Copy(io.Discard, root); err != nil {
		return nil, unreadable(path, err)
	}
	if _, err := io.Copy(io.Discard, all); err != nil {
		return nil, unreadable(path, err)
	}
	return &Stemcell{Path: path, bare: true, Size: info.Size(), ImageSize: info.Size(), SHA1: hex.EncodeToString(sum.Sum(nil))}, nil
}

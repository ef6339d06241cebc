package stemcell

import "context"

// OpenImage opens a member image that somebody took out of its stemcell and
// checked, as a Director does before it calls a CPI: an archive that holds
// root.img. It is read once, by Image: a cut or damaged archive fails there,
// before its end.
func OpenImage(path string) (*Stemcell, error) {
	f, size, err := openArchive(context.Background(), path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	root, err := find(path, f, memberRoot)
	if err != nil {
		return nil, err
	}
	if root == nil {
		return nil, invalid(path, "Root image is missing from stemcell archive")
	}
	return &Stemcell{Path: path, bare: true, Size: size, ImageSize: size}, nil
}

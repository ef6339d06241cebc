// Package stemcell reads, verifies and builds stemcell archives: a tar.gz with
// stemcell.MF, image and, in a micro stemcell, apply_spec.yml. The member image
// is itself a tar.gz that holds root.img.
//
// Nothing is unpacked to disk and nothing is held in memory but the two small
// members: an image of any size streams through. An archive is somebody else's
// input: whatever in it is cut, doubled, outside, not a plain file or out of
// proportion makes it invalid. Its digest is verified by Open, and once more
// while Image streams it. A Stemcell is read-only and may be shared.
package stemcell

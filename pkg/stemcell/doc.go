// Package stemcell reads, verifies and builds stemcell archives: a tar.gz with
// stemcell.MF, image and, in a micro stemcell, apply_spec.yml. The member image
// is itself a tar.gz that holds root.img.
//
// Nothing is unpacked to disk and nothing is held in memory but the two small
// members: an image of any size streams through.
package stemcell

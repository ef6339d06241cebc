// Package render makes the apply spec that a VM is given: the stemcell's own,
// massaged with the manifest's wishes as `bosh micro` did. It is pure.
package render

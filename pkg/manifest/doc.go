// Package manifest reads micro_bosh.yml and bosh-deployments.yml, the two files
// that `bosh micro` and its users know.
//
// A manifest is checked as a whole: every problem is reported at once with file,
// line and column. Before that, operations and variables may change it (package
// patch); a complaint leads to the file that has to be mended. It knows which of its values are harmless; all others are
// secrets, which Split cuts out so that the rest can travel in the open, and
// Join puts back. docs/manifest.md tells every key, and what differs from the
// original.
//
// bosh-deployments.yml is written atomically, in the original's schema, and what
// is not known in it is kept. Its one writer is the deployer beside it.
//
// The YAML library is named nowhere else but here, in patch and in pkg/stemcell.
package manifest

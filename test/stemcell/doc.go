// Package stemcell boots the stemcell that MICROBOSH_STEMCELL names, as
// `make test-stemcell` builds it: in qemu without hardware virtualisation, and
// in devcloud's namespaces. Times are told, never judged.
package stemcell

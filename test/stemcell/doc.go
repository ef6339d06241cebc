// Package stemcell boots the stemcell that MICROBOSH_STEMCELL names, as
// `make test-stemcell` builds it: in qemu without hardware virtualisation, and
// in devcloud's namespaces, where what it boots deploys another one. Times are told, never judged.
package stemcell

// Package devcloud is a small OpenStack: as much of Keystone, Glance, Nova,
// Neutron and Cinder over HTTP as a BOSH CPI needs, with the status transitions,
// microversions and error bodies of the real one. It stands in for a cloud on a
// workstation and in tests, where it also misbehaves on request (fault.go).
//
// Each service has its files: identity_*, image_*, compute_*, network_* and
// volume_*. The state lives in memory and ends with the process; images, volumes
// and servers have folders below Options.Dir. One mutex guards the state: an
// endpoint holds it from start to end, and what takes time (an upload, a boot, a
// copy) runs without it and takes it again to tell the outcome.
//
// What a server runs on is a Hypervisor's affair; package rootless has the one
// that needs no privileges.
package devcloud

// Package devcloud is a small OpenStack: as much of Keystone, Glance, Nova,
// Neutron and Cinder over HTTP as a BOSH CPI needs, with the status transitions
// and error bodies of the real one. Its hypervisor really boots servers, as
// processes on this machine (package rootless).
//
// It stands in for a cloud on a workstation and in tests, where it also
// misbehaves on request: see fault.go. State lives in memory; images, volumes
// and servers have folders below Options.Dir. One mutex guards the state, and no
// request holds it while a server boots.
package devcloud

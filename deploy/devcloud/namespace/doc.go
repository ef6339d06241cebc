// Package namespace is devcloud's hypervisor for root on Linux: a server is a
// set of namespaces (mount, pid, net, uts, ipc).
//
// Its root is the stemcell's over the host's, which is read only, or the
// stemcell's alone when its image is a disk; what the server writes goes to a disk of its own, a sparse file, and outlives a
// reboot. It has an address on a private bridge by DHCP, metadata at
// 169.254.169.254, and volumes as loop devices under the names that the IaaS
// gives them, with one in /dev/disk/by-id.
//
// The bridge lies in the network namespace that devcloud was started in, which
// must not be the host's: Enter makes one. The first process of a server
// (init.go) is this same program started again; it ends with everything in the
// server when its standard input closes, so that nothing outlives devcloud.
//
// The kernel is the host's: servers get no CAP_SYS_TIME, and are told that they
// are containers, so that an agent leaves swap alone. They are for development:
// no protection from a server that means harm.
package namespace

// Package linux is the platform that changes the machine it runs on: accounts,
// names, networks, firewall, clock, disks. One file per step of bootstrap.
//
// Everything is safe to repeat after a kill at any point: what is there already
// is looked at first, files are replaced whole, and a device is only ever
// formatted when it is blank, or bears a partition table that this agent made.
//
// The package runs as root with / as its root folder. It is the only one of the
// agent that knows iptables and netlink. Inside a container the kernel's clock
// and swap are the host's: they are recorded instead of changed.
package linux

// Command openstack brings a real OpenStack (Zed, from Debian 12's packages) up
// on the loopback address of one machine, and takes it down again. It is the
// second target of test/conformance, so that devcloud stays honest.
//
// Keystone, Glance, Placement, Nova, Neutron and Cinder are real, with their
// databases, queues, schedulers, quotas and policies. At level api only the ends
// are not: Nova's fake driver boots nothing, ports are bound by no agent, and a
// volume is a sparse file. At level vm (--level vm) qemu boots servers, and
// Neutron's agents give them addresses, metadata, routers and floating IPs, with
// bridges, network namespaces and iptables rules of the machine, which go when
// it is taken down. Nothing here needs systemd; it needs root.
//
// Everything lies below one folder, whose ports are chosen at the first start and
// kept. `up` may be run again at any time: what is installed, filled or running
// is left as it is. What goes wrong is told with the end of the log that says
// why, and ends the program with 1.
package main

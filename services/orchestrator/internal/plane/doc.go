// Package plane makes the identities of a control plane, once, and replaces
// them: nkeys, curve keys, certificates, and the configuration of its
// nats-servers.
//
// A plane is a folder that root alone reads: ca/ (keep it off the machine),
// bus/ (or bus-<node>/ for each node of a cluster), and one folder for each
// role, which is what that role's programs are given as --keys. Every file is
// made when it is missing and left as it is otherwise, so that an init that was
// killed is finished by the next one. The embedded bus keeps all of it in one
// folder, keys/, and makes it at its first start; Rotate does both.
package plane

// Package rootless is devcloud's hypervisor for an ordinary user: a server is a
// process tree in a folder of its own.
//
// The image's root.img, a plain tar, is unpacked once; a server's root shares
// its files by hard links. The agent inside is started with that folder as its
// base and with the address of a metadata service on the server's own loopback
// address, which answers for this server only. A volume is a folder, shown as
// dev/sdX below the server's root.
//
// Every server has a keeper (shim.go): this same program started again, which
// adopts whatever the agent starts (PR_SET_CHILD_SUBREAPER), starts the agent
// again when it ends, as runit would, and ends all of it when its standard
// input closes, so that nothing outlives devcloud, not even when that is killed.
package rootless

// Package stemcell makes the disk of a machine that boots: Debian with systemd,
// monit and ruby, and over it the files that it is given, such as an agent and
// the blobs of a micro stemcell. recipe/ is the recipe; root/ in it is laid over
// Debian as it is.
//
// It needs root on Debian (mounts, chroot, loop devices) and the tools of Tools.
// Debian itself is fetched once and kept in the cache as a tar, named by the
// digest of what it is made from. Everything else happens in memory, in a mount
// namespace that ends with the build: a build that is killed leaves nothing but
// a file beside its output.
package stemcell

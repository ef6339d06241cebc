// Package rootless boots devcloud's servers without privileges: a server is a
// folder, a loopback address and the processes that its agent starts.
//
// An image is a plain tar. It is unpacked once; a server's root has copies of its
// small files and hard links to the large ones, which are read-only, so a program
// that changes one of those must replace it. Volumes are folders that the server sees as <root>/dev/sdX.
//
// Each server has a keeper: the running program once more, told by its
// environment. The keeper adopts whatever loses its parent below it, starts the
// agent again when it ends, and holds a pipe to the hypervisor. When the pipe
// closes, because the server is stopped or because devcloud died in any way, the
// keeper kills everything below itself and ends. The agent dies with a keeper
// that is killed, and the hypervisor looks for what such a keeper left.
//
// There is no isolation: a server sees the host's files and processes, and runs
// as the user who runs devcloud.
package rootless

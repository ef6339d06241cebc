// Package tunnel lets a VM reach its registry through an SSH connection that is
// opened from outside: a port on the VM's own loopback address leads there.
//
// A Tunnel is opened again whenever it broke, until it is closed. It trusts one
// host key; who presents another is refused for good. Meet finds out that key
// at the first connection to a VM.
package tunnel

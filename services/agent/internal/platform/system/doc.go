// Package system changes the Linux machine that the agent runs on when a
// request asks for it: accounts, /etc/hosts, neighbors, trusted certificates.
// Bootstrap's part of the machine is elsewhere.
package system

// Package platform is the machine as the agent changes it: passwords, names,
// networks, clocks, disks. Platform is the seam; each kind of machine is one
// implementation.
//
// Rootless is the one that changes nothing outside the agent's base folder,
// whoever runs it: what a real machine would have changed is written to
// <base>/bosh/recorded/<step>.json and said in the log.
package platform

// Package home knows the agent's base folder (/var/vcap): where each thing
// lives in it, how a path of the VM is found below it, and how a file is
// written so that a power cut or SIGKILL leaves the old one or the new one,
// never half of one.
//
// Every other package of the agent asks here for its paths; nobody joins
// "bosh" or "store" by hand.
package home

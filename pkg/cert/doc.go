// Package cert makes the certificates of a control plane: authorities, and what
// they sign for servers, roles and agents.
//
// An authority is two files, <name>.pem and <name>.key (0600), in a folder that
// its owner alone reads. Subjects and names are BOSH's, so that real agents,
// Directors and health monitors accept them and are accepted.
package cert

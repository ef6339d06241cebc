package platform

import (
	"context"
	"strings"
)

// Served is what requests change after boot, beside Host and Disks.
type Served interface {
	// AddUser makes an account that may log in with the key; a repeat is one.
	AddUser(ctx context.Context, u User) error
	// DeleteUsers removes the accounts that match; only those that AddUser may
	// have made are asked about.
	DeleteUsers(ctx context.Context, match func(name string) bool) error
	HostKey(ctx context.Context) (string, error) // the SSH server's public key, "" when there is none
	// SetHosts replaces what earlier calls added to /etc/hosts.
	SetHosts(ctx context.Context, lines []string) error
	ForgetNeighbors(ctx context.Context, addresses []string) error // ARP entries
	ForgetNetwork(ctx context.Context) error                       // udev's names of interfaces
	TrustCertificates(ctx context.Context, pem string) error       // replaces those trusted before
}

// User is an account for somebody who looks into the VM.
type User struct {
	Name     string
	Home     string // the folder that its home is made in
	Key      string
	Password string // crypt(3), "" for none
}

// UserPrefix begins the name of every account that may be deleted.
const UserPrefix = "bosh_"

var _ Served = (*Rootless)(nil)

// AddUser records the account, without its password.
func (r *Rootless) AddUser(_ context.Context, u User) error {
	return r.record("ssh_setup", Change{
		What: "account " + u.Name, Run: []string{"useradd", "-m", "-b", u.Home, "-s", "/bin/bash", u.Name},
	}, Change{What: u.Name + "'s authorized keys", Path: u.Home + "/" + u.Name + "/.ssh/authorized_keys", Content: u.Key + "\n"})
}

// DeleteUsers records that accounts go.
func (r *Rootless) DeleteUsers(context.Context, func(string) bool) error {
	return r.record("ssh_cleanup", Change{What: "accounts that match are removed", Run: []string{"userdel", "-r", UserPrefix + "..."}})
}

// HostKey finds none: no SSH server is this VM's.
func (r *Rootless) HostKey(context.Context) (string, error) { return "", nil }

// SetHosts records the lines.
func (r *Rootless) SetHosts(_ context.Context, lines []string) error {
	return r.record("sync_dns", Change{What: "names of instances", Path: "/etc/hosts", Content: strings.Join(lines, "\n") + "\n"})
}

// ForgetNeighbors records the addresses.
func (r *Rootless) ForgetNeighbors(_ context.Context, addresses []string) error {
	var changes []Change
	for _, address := range addresses {
		changes = append(changes, Change{What: "the neighbor " + address + " is forgotten", Run: []string{"ip", "neigh", "flush", "to", address}})
	}
	return r.record("delete_arp_entries", changes...)
}

// ForgetNetwork records the removal of udev's rules.
func (r *Rootless) ForgetNetwork(context.Context) error {
	return r.record("prepare_network_change", Change{What: "udev forgets the interfaces", Path: "/etc/udev/rules.d/70-persistent-net.rules"})
}

// TrustCertificates records the certificates.
func (r *Rootless) TrustCertificates(_ context.Context, pem string) error {
	if pem == "" {
		return r.record("trusted_certificates")
	}
	return r.record("trusted_certificates", Change{What: "trusted certificates", Path: "/usr/local/share/ca-certificates/bosh-trusted-cert-1.crt", Content: pem})
}

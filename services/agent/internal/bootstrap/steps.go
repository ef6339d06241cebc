package bootstrap

import (
	"context"
	"errors"
	"syscall"

	"github.com/microbosh/microbosh/pkg/messages"
)

// Step is one row of the table.
type Step struct {
	Name  string
	Short bool // also runs when the machine is not to be configured
	run   func(context.Context, *boot) error
	hint  string // what to do when it fails
}

// failed is the step's error as a person reads it: which step, why, what to do.
func (s Step) failed(err error) error {
	e := messages.Errorf(messages.CodeBootstrapFailed, "cannot bootstrap: step %s: %w", s.Name, err)
	hint := s.hint
	if errors.Is(err, syscall.ENOSPC) {
		hint = "the disk is full: df -h shows which; make room on it"
	}
	return e.WithHint("%s; the agent, started again, goes on from here", hint)
}

// Steps is the table: BOSH's steps in BOSH's order.
func Steps() []Step {
	const short = true
	return []Step{
		{
			"load_settings", short, loadSettings,
			`look at what the sources say (curl -s http://169.254.169.254/latest/user-data), or write the settings to bosh/agent-bootstrap-env.json below the base folder`,
		},
		{
			"update_iptables", false, updateIPTables,
			`iptables -S and ip6tables -S show the rules; the kernel needs the table filter and the match owner`,
		},
		{
			"update_passwords", false, updatePasswords,
			`env.bosh.password of the settings must be a hash of crypt(3); getent passwd vcap shows the account`,
		},
		{
			"update_agent_id", short, updateAgentID,
			`give the settings an agent_id, or start the agent with -a ID`,
		},
		{
			"update_credentials", short, updateCredentials,
			`give env.bosh.credentials both keys, or leave it out`,
		},
		{
			"update_hostname", false, updateHostname,
			`ls -l /etc/hosts /etc/hostname shows whether they can be written`,
		},
		{
			"update_mbus", short, updateMbus,
			`give the settings an mbus, as nats://USER:PASSWORD@HOST:4222 or https://USER:PASSWORD@0.0.0.0:6868`,
		},
		{
			"update_blobstore", short, updateBlobstore,
			`give the settings a blobstore, as {"provider":"local","options":{"blobstore_path":"/var/vcap/micro_bosh/data/cache"}}`,
		},
		{
			"setup_networking", false, setupNetworking,
			`ip addr shows the interfaces, which mac, ip and netmask of the settings must fit`,
		},
		{
			"update_time", false, updateTime,
			`ntp of the settings must be a list of hosts`,
		},
		{
			"setup_data_disk", false, setupDataDisk,
			`lsblk -f shows the disks; disks.ephemeral of the settings must name one that is blank, or that an agent partitioned`,
		},
		{
			"setup_data_sys", false, setupDataSys,
			`ls -l /var/vcap/data shows what is in the way`,
		},
		{
			"setup_tmp", false, setupTmp,
			`findmnt /tmp shows what is mounted there`,
		},
		{
			"monit_user", false, monitUser,
			`ls -l /var/vcap/monit shows what is in the way`,
		},
		{
			"monit_alerts", false, monitAlerts,
			`start the agent with --no-alerts`,
		},
		{
			"mount_persistent_disk", false, mountPersistentDisk,
			`lsblk -f shows the disks; disks.persistent of the settings must name at most one, that an agent partitioned`,
		},
		{
			"harden_permissions", false, hardenPermissions,
			`ls -l shows who owns what the error names`,
		},
	}
}

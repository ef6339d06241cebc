package bootstrap

import "context"

// Step is one row of the table.
type Step struct {
	Name  string
	Short bool // also runs when the machine is not to be configured
	run   func(context.Context, *boot) error
}

// Steps is the table: BOSH's steps in BOSH's order.
func Steps() []Step {
	const short = true
	return []Step{
		{"load_settings", short, loadSettings},
		{"update_iptables", false, updateIPTables},
		{"update_passwords", false, updatePasswords},
		{"update_agent_id", short, updateAgentID},
		{"update_credentials", short, updateCredentials},
		{"update_hostname", false, updateHostname},
		{"update_mbus", short, updateMbus},
		{"update_blobstore", short, updateBlobstore},
		{"setup_networking", false, setupNetworking},
		{"update_time", false, updateTime},
		{"setup_data_disk", false, setupDataDisk},
		{"setup_data_sys", false, setupDataSys},
		{"setup_tmp", false, setupTmp},
		{"monit_user", false, monitUser},
		{"monit_alerts", false, monitAlerts},
		{"mount_persistent_disk", false, mountPersistentDisk},
		{"harden_permissions", false, hardenPermissions},
	}
}

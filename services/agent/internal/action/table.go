package action

import (
	"context"
	"encoding/json"
	"fmt"
)

// mode is how an action is run and answered.
type mode int

const (
	answered mode = iota // at once, beside everything else
	serial               // as a task, the answer waits for it
	async                // as a task, answered with its id
	direct               // about tasks themselves: never waits behind one
)

// entry is one row.
type entry struct {
	mode   mode
	cancel bool // cancel_task may end it
	run    func(ctx context.Context, d *Dispatcher, c call) (any, error)

	// before3 is the mode when the request's protocol is older than 3.
	before3 *mode
}

// call is one request as an action sees it.
type call struct {
	protocol int
	args     []json.RawMessage
}

// arg reads the i-th argument, counted from 0, which must be there.
func (c call) arg(i int, into any) error {
	if len(c.args) <= i {
		return fmt.Errorf("Extracting method arguments from payload: Not enough arguments, expected %d, got %d", i+1, len(c.args)) //nolint:staticcheck // BOSH's text
	}
	if err := json.Unmarshal(c.args[i], into); err != nil {
		return fmt.Errorf("Extracting method arguments from payload: argument %d: %w", i+1, err) //nolint:staticcheck // BOSH's text
	}
	return nil
}

// text reads the i-th argument if it is there and a string.
func (c call) text(i int) string {
	var s string
	if len(c.args) > i && json.Unmarshal(c.args[i], &s) != nil {
		return ""
	}
	return s
}

// table is every method. What is not here is an unknown message, which clients
// take for an older agent.
func table() map[string]entry {
	at := func(m mode) *mode { return &m }
	return map[string]entry{
		"ping": {mode: direct, run: ping},
		"noop": {mode: direct, run: noop},
		"info": {mode: direct, run: info},

		"get_task":    {mode: direct, run: getTask},
		"cancel_task": {mode: direct, run: cancelTask},

		"get_state": {mode: answered, run: getState},
		"state":     {mode: answered, run: getState},

		"prepare":            {mode: async, run: prepare},
		"apply":              {mode: async, run: apply},
		"release_apply_spec": {mode: answered, run: releaseApplySpec},

		"start":      {mode: serial, run: start},
		"stop":       {mode: async, run: stop},
		"drain":      {mode: async, cancel: true, run: drain},
		"run_script": {mode: async, run: runScript},
		"run_errand": {mode: async, cancel: true, run: runErrand},

		"compile_package":                 {mode: async, run: compilePackage},
		"compile_package_with_signed_url": {mode: async, run: compilePackageWithSignedURL},

		"fetch_logs":                 {mode: async, run: fetchLogs},
		"fetch_logs_with_signed_url": {mode: async, run: fetchLogsWithSignedURL},
		"bundle_logs":                {mode: answered, run: bundleLogs},
		"remove_file":                {mode: answered, run: removeFile},
		"upload_blob":                {mode: async, run: uploadBlob},

		"ssh":                      {mode: answered, run: ssh},
		"sync_dns":                 {mode: answered, run: syncDNS},
		"sync_dns_with_signed_url": {mode: answered, run: syncDNSWithSignedURL},
		"delete_arp_entries":       {mode: answered, run: deleteARPEntries},
		"prepare_network_change":   {mode: answered, run: prepareNetworkChange},

		"mount_disk":             {mode: async, run: mountDisk},
		"unmount_disk":           {mode: async, run: unmountDisk},
		"migrate_disk":           {mode: async, run: migrateDisk},
		"list_disk":              {mode: async, before3: at(serial), run: listDisk},
		"add_persistent_disk":    {mode: async, run: addPersistentDisk},
		"remove_persistent_disk": {mode: async, run: removePersistentDisk},
		"add_dynamic_disk":       {mode: async, run: addDynamicDisk},
		"remove_dynamic_disk":    {mode: serial, run: removeDynamicDisk},

		"update_settings": {mode: async, run: updateSettings},
		"shutdown":        {mode: direct, run: shutdown},
	}
}

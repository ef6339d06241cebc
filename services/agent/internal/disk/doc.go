// Package disk knows the persistent disks of this VM: which device a disk CID
// is, told by the settings or by the hint of add_persistent_disk, and which
// are mounted.
//
// It is the only writer of <base>/bosh/persistent_disk_hints.json and
// managed_disk_settings.json. Its methods are called by one task at a time.
package disk

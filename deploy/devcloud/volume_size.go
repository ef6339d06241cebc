package devcloud

import "path/filepath"

// VolumeSize is how large the volume or the ephemeral disk is that lies in a
// folder, in bytes; 0 when there is none. A hypervisor that makes disks of them
// asks it.
func (c *Cloud) VolumeSize(folder string) int64 {
	const gib = 1 << 30
	c.mu.Lock()
	defer c.mu.Unlock()
	if v, ok := c.volumes[filepath.Base(folder)]; ok {
		return int64(v.Size) * gib
	}
	if s, ok := c.servers[filepath.Base(filepath.Dir(folder))]; ok && folder == c.ephemeralDir(s) {
		return int64(s.Flavor.Ephemeral) * gib
	}
	return 0
}

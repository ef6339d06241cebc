package devcloud

import "path/filepath"

// VolumeSize is how large the volume is that lies in a folder, in bytes; 0 when
// there is none. A hypervisor that makes disks of volumes asks it.
func (c *Cloud) VolumeSize(folder string) int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	v, ok := c.volumes[filepath.Base(folder)]
	if !ok {
		return 0
	}
	const gib = 1 << 30
	return int64(v.Size) * gib
}

package messages

import "encoding/json"

// DiskOnlyArgs name a disk: has_disk.
type DiskOnlyArgs struct {
	DiskCID string `json:"disk_cid"`
}

// SetDiskMetadataArgs are set_disk_metadata's.
type SetDiskMetadataArgs struct {
	DiskCID  string            `json:"disk_cid"`
	Metadata map[string]string `json:"metadata"`
}

// ResizeDiskArgs are resize_disk's. A disk can only grow, and only detached.
type ResizeDiskArgs struct {
	DiskCID string `json:"disk_cid"`
	SizeMiB int    `json:"size_mib"`
}

// UpdateDiskArgs are update_disk's: another size, another type, or both.
type UpdateDiskArgs struct {
	DiskCID         string          `json:"disk_cid"`
	SizeMiB         int             `json:"size_mib"`
	CloudProperties json.RawMessage `json:"cloud_properties,omitempty"`
}

// SnapshotDiskArgs are snapshot_disk's.
type SnapshotDiskArgs struct {
	DiskCID  string            `json:"disk_cid"`
	Metadata map[string]string `json:"metadata,omitempty"`
	Tags     Tags              `json:"tags"`
}

// SnapshotDiskOutputs tells the snapshot.
type SnapshotDiskOutputs struct {
	CID string `json:"cid"`
}

// DeleteSnapshotArgs are delete_snapshot's. Owner is the step id of the
// snapshot_disk that made it.
type DeleteSnapshotArgs struct {
	CID   string `json:"cid"`
	Owner string `json:"owner"`
}

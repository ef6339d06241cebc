package statefile

import (
	"fmt"
	"path/filepath"

	"github.com/microbosh/microbosh/pkg/manifest"
	"github.com/microbosh/microbosh/pkg/messages"
)

// ProjectionPath is where the projection of a manifest's deployment is.
func ProjectionPath(manifestPath string) string {
	return filepath.Join(filepath.Dir(manifestPath), manifest.DeploymentsFile)
}

// Projection keeps bosh-deployments.yml as the journal tells it. Other rows of
// the file are left as they are.
type Projection struct {
	path string
	last manifest.Instance
}

// NewProjection is the projection beside a manifest.
func NewProjection(manifestPath string) *Projection {
	return &Projection{path: ProjectionPath(manifestPath)}
}

// Save writes the deployment's row when it changed. A deployment without
// anything in the cloud has none.
func (p *Projection) Save(s messages.Snapshot) error {
	row := instance(s)
	if row == p.last {
		return nil
	}
	d, err := manifest.ReadDeployments(p.path)
	if err != nil {
		return fmt.Errorf("cannot keep %s: %w", manifest.DeploymentsFile, err)
	}
	old, recorded := d.Find(row.Name)
	switch {
	case row.Exists():
		d.Put(row)
	case recorded:
		d.Remove(row.Name)
	default:
		p.last = row
		return nil
	}
	row.ID = old.ID
	if row != old || !recorded {
		if err := d.Write(p.path); err != nil {
			return err
		}
	}
	p.last = instance(s)
	return nil
}

func instance(s messages.Snapshot) manifest.Instance {
	row := manifest.Instance{
		Name: s.Deployment, UUID: s.InstanceUUID, ConfigSHA1: s.ConfigSHA1, StemcellSHA1: s.StemcellSHA1,
	}
	if s.Stemcell != nil {
		row.StemcellCID, row.StemcellName = s.Stemcell.CID, s.Stemcell.Name
		if row.StemcellName == "" {
			row.StemcellName = s.Stemcell.CID
		}
	}
	if s.VM != nil {
		row.VMCID = s.VM.CID
	}
	if s.Disk != nil {
		row.DiskCID = s.Disk.CID
	}
	return row
}

// CheckForgotten refuses to take a deployment for a new one when the state file
// names resources of it that the journal knows nothing about.
func CheckForgotten(manifestPath string, s messages.Snapshot) error {
	if s.UID != "" || len(s.FinishedRuns) > 0 {
		return nil
	}
	path := ProjectionPath(manifestPath)
	d, err := manifest.ReadDeployments(path)
	if err != nil {
		return err
	}
	row, recorded := d.Find(s.Deployment)
	if !recorded || !row.Exists() {
		return nil
	}
	return messages.Errorf(messages.CodeStateInvalid,
		"%s names resources of `%s' that this bus's journal does not know (VM %s, disk %s, stemcell %s)",
		path, s.Deployment, orNone(row.VMCID), orNone(row.DiskCID), orNone(row.StemcellCID)).
		WithHint("use the bus, or restore the folder %s, that they were made with; when they are gone, remove the row from the file", FolderName)
}

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}

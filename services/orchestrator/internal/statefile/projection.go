package statefile

import (
	"fmt"
	"os"
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

// Agrees tells whether the state file says what the journal does.
func Agrees(manifestPath string, s messages.Snapshot) (bool, error) {
	d, err := manifest.ReadDeployments(ProjectionPath(manifestPath))
	if err != nil {
		return false, err
	}
	want := instance(s)
	have, recorded := d.Find(want.Name)
	want.ID = have.ID
	return recorded == want.Exists() && (!recorded || have == want), nil
}

// Restore writes the state file from the journal. One that cannot be read is
// set aside as <file>.damaged.
func Restore(manifestPath string, s messages.Snapshot) error {
	path := ProjectionPath(manifestPath)
	if _, err := manifest.ReadDeployments(path); err != nil {
		if err := os.Rename(path, path+".damaged"); err != nil {
			return fmt.Errorf("cannot set the damaged state file aside: %w", err)
		}
	}
	return NewProjection(manifestPath).Save(s)
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
		WithHint("use the bus, or restore the folder %s, that they were made with; what that bus has lost is found by its tags with `microbosh state rebuild`; "+
			"what `bosh micro' made is taken over with `microbosh state import`; when they are gone, remove the row from the file", FolderName)
}

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}

package statefile

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/microbosh/microbosh/pkg/manifest"
	"github.com/microbosh/microbosh/pkg/messages"
)

// ReadImport reads what another tool recorded of a deployment: a
// bosh-deployments.yml of `bosh micro`, or a state.json of `bosh create-env`.
func ReadImport(path, deployment string) (messages.Import, error) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return messages.Import{}, invalidState("there is no state file %s", path).WithHint("name it: microbosh state import FILE")
	case err != nil:
		return messages.Import{}, invalidState("cannot read the state file: %w", err)
	case !info.Mode().IsRegular():
		return messages.Import{}, invalidState("%s is no file", path).WithHint("name the state file itself: bosh-deployments.yml or the -state.json of create-env")
	}
	data, err := readBounded(path)
	if err != nil {
		return messages.Import{}, invalidState("cannot read the state file: %w", err)
	}
	if bytes.HasPrefix(bytes.TrimSpace(data), []byte("{")) {
		return fromCreateEnv(path, data)
	}
	d, err := manifest.ReadDeployments(path)
	if err != nil {
		return messages.Import{}, err
	}
	row, recorded := d.Find(deployment)
	if !recorded {
		names := make([]string, 0, len(d.Instances))
		for _, i := range d.Instances {
			names = append(names, "`"+i.Name+"'")
		}
		return messages.Import{}, invalidState("%s knows no deployment `%s'; it has %s", path, deployment, orNone(strings.Join(names, ", "))).
			WithHint("the name is the manifest's: set `name' there to the one that was deployed")
	}
	if !row.Exists() {
		return messages.Import{}, invalidState("%s records nothing of `%s' in a cloud", path, deployment).WithHint("there is nothing to import: deploy")
	}
	return messages.Import{
		InstanceUUID: row.UUID, StemcellCID: row.StemcellCID, StemcellName: row.StemcellName,
		Preserve: row.StemcellCID == row.StemcellName, // as the original told an image that it was only given
		VMCID:    row.VMCID, AgentID: row.UUID, DiskCID: row.DiskCID, ConfigSHA1: row.ConfigSHA1, StemcellSHA1: row.StemcellSHA1,
	}, nil
}

func invalidState(format string, args ...any) *messages.Error {
	return messages.Errorf(messages.CodeStateInvalid, format, args...)
}

// createEnv is the part of create-env's state that names what is in the cloud.
// Its current_* are ids of rows, except for the VM's.
type createEnv struct {
	DirectorID     string   `json:"director_id"`
	InstallationID string   `json:"installation_id"`
	VMCID          string   `json:"current_vm_cid"`
	StemcellID     string   `json:"current_stemcell_id"`
	DiskID         string   `json:"current_disk_id"`
	Disks          []record `json:"disks"`
	Stemcells      []record `json:"stemcells"`
}

type record struct {
	ID   string `json:"id"`
	Name string `json:"name"` // a stemcell's
	CID  string `json:"cid"`
}

func fromCreateEnv(path string, data []byte) (messages.Import, error) {
	var s createEnv
	if err := json.Unmarshal(data, &s); err != nil {
		return messages.Import{}, invalidState("%s is no state of `bosh create-env': %w", path, err)
	}
	if s.DirectorID == "" && s.InstallationID == "" {
		return messages.Import{}, invalidState("%s is no state of `bosh create-env': it has neither director_id nor installation_id", path).
			WithHint("microbosh imports a bosh-deployments.yml of `bosh micro' and a state.json of `bosh create-env'")
	}
	stemcell, err := find(s.Stemcells, s.StemcellID, path, "stemcell")
	if err != nil {
		return messages.Import{}, err
	}
	disk, err := find(s.Disks, s.DiskID, path, "disk")
	if err != nil {
		return messages.Import{}, err
	}
	if s.VMCID+stemcell.CID+disk.CID == "" {
		return messages.Import{}, invalidState("%s records nothing in a cloud", path).WithHint("there is nothing to import: deploy")
	}
	return messages.Import{VMCID: s.VMCID, StemcellCID: stemcell.CID, StemcellName: stemcell.Name, DiskCID: disk.CID}, nil
}

// find is the row that a current_*_id means; none when there is none. An empty
// CID is never passed on: to some clouds it means everything (bosh#2625).
func find(rows []record, id, path, what string) (record, error) {
	if id == "" {
		return record{}, nil
	}
	i := slices.IndexFunc(rows, func(r record) bool { return r.ID == id })
	if i < 0 || rows[i].CID == "" {
		return record{}, invalidState("%s: current_%s_id is %q, and %ss has no row with that id and a cid", path, what, id, what).
			WithHint("the tool that wrote it was interrupted; ask the cloud which one is in use and mend the file")
	}
	return rows[i], nil
}

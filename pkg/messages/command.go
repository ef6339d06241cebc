package messages

import "encoding/json"

// Verb is what a deploy request asks for.
type Verb string

// The verbs a run can have.
const (
	VerbCreate Verb = "create"
	VerbUpdate Verb = "update"
	VerbDelete Verb = "delete"
	VerbStop   Verb = "stop"   // the VM's jobs; the VM stays
	VerbStart  Verb = "start"  // them again
	VerbApply  Verb = "apply"  // another apply spec to the VM's agent
	VerbImport Verb = "import" // take over what another tool, or a lost journal, made
	VerbSweep  Verb = "sweep"  // what the deployment left in the cloud and does not need
)

// Command is a deploy request: the body of a message on CommandSubject. Its
// envelope's id is the run's id. The manifest's secrets are cut out of Manifest
// and travel in Secrets, sealed to the orchestrator.
type Command struct {
	Verb        Verb   `json:"verb"`
	RequestedBy string `json:"requested_by,omitempty"` // user@host, for people
	Adopt       bool   `json:"adopt,omitempty"`        // take over a deployment known under another uid
	Recreate    bool   `json:"recreate,omitempty"`     // update: act even when nothing changed

	Manifest   json.RawMessage `json:"manifest,omitempty"`    // the manifest's tree without its secrets
	ConfigSHA1 string          `json:"config_sha1,omitempty"` // keyed digest of the whole manifest; an imported one's is the original's
	Stemcell   *StemcellRef    `json:"stemcell,omitempty"`
	Import     *Import         `json:"import,omitempty"`  // import: what there is
	Orphans    []Resource      `json:"orphans,omitempty"` // sweep: what to delete
	Secrets    *Sealed         `json:"secrets,omitempty"` // a CommandSecrets
}

// CommandSecrets is what Command.Secrets holds once opened.
type CommandSecrets struct {
	Manifest  json.RawMessage `json:"manifest,omitempty"`   // the cut-out leaves, as pkg/manifest joins them
	ApplySpec json.RawMessage `json:"apply_spec,omitempty"` // the stemcell's apply_spec.yml, or what apply was given
	TunnelKey string          `json:"tunnel_key,omitempty"` // the private key of an SSH tunnel, PEM
}

// Import names what an import takes over. What is empty is not there.
type Import struct {
	InstanceUUID string `json:"instance_uuid,omitempty"` // bm-<uuid>
	StemcellCID  string `json:"stemcell_cid,omitempty"`
	StemcellName string `json:"stemcell_name,omitempty"`
	Preserve     bool   `json:"preserve,omitempty"` // the stemcell was there before the deployment and is never deleted
	VMCID        string `json:"vm_cid,omitempty"`
	AgentID      string `json:"agent_id,omitempty"`
	DiskCID      string `json:"disk_cid,omitempty"`
	ConfigSHA1   string `json:"config_sha1,omitempty"`   // the fingerprints it was deployed with
	StemcellSHA1 string `json:"stemcell_sha1,omitempty"` //
	From         string `json:"from,omitempty"`          // uid in the tags that the resources may bear
}

// StemcellRef points at a stemcell: a .tgz on a host, or an image that the
// cloud already has (then only CID is set).
type StemcellRef struct {
	CID             string          `json:"cid,omitempty"`         // an existing image, never deleted by us
	Path            string          `json:"path,omitempty"`        // absolute path of the .tgz on Host
	URL             string          `json:"url,omitempty"`         // http(s), of the .tgz, with SHA1; everybody may see it
	Host            string          `json:"host,omitempty"`        // host id of who can read Path
	Object          string          `json:"object,omitempty"`      // name in the object store of the member "image", when Host is not the CPI's
	ObjectSize      int64           `json:"object_size,omitempty"` // its bytes
	Size            int64           `json:"size,omitempty"`        // bytes of the .tgz
	Name            string          `json:"name,omitempty"`
	Version         string          `json:"version,omitempty"`
	APIVersion      int             `json:"api_version,omitempty"`
	SHA1            string          `json:"sha1,omitempty"` // of the member "image", from stemcell.MF
	CloudProperties json.RawMessage `json:"cloud_properties,omitempty"`
}

// Fingerprint is what tells one stemcell from another: the image's sha1, or the
// image id itself. "" when there is none.
func (s *StemcellRef) Fingerprint() string {
	switch {
	case s == nil:
		return ""
	case s.CID != "":
		return s.CID
	default:
		return s.SHA1
	}
}

package cli

import (
	"context"
	"encoding/json"
	"path/filepath"

	"github.com/microbosh/microbosh/pkg/daemon"
	"github.com/microbosh/microbosh/pkg/messages"
	"github.com/microbosh/microbosh/pkg/seal"
	"github.com/microbosh/microbosh/pkg/stemcell"
	"github.com/microbosh/microbosh/services/orchestrator/internal/statefile"
)

// stemcellLoad is what a request carries of its stemcell.
type stemcellLoad struct {
	ref  *messages.StemcellRef
	spec json.RawMessage    // the apply spec; nil when it is in the VM
	file *stemcell.Stemcell // nil when it is not on this host
}

// openStemcell verifies a .tgz, here or on the web, and refers to it; anything
// else is an image id.
func (a *app) openStemcell(ctx context.Context, arg string) (stemcellLoad, error) {
	if stemcell.IsURL(arg) {
		a.ui.Say("Verifying stemcell...")
		sc, err := stemcell.OpenAt(ctx, arg)
		if err != nil {
			return stemcellLoad{}, interruptedOr(ctx, err)
		}
		return loadOf(sc, messages.StemcellRef{URL: arg})
	}
	if filepath.Ext(arg) != ".tgz" {
		return stemcellLoad{ref: &messages.StemcellRef{CID: arg}}, nil
	}
	a.ui.Say("Verifying stemcell...")
	path, err := filepath.Abs(arg)
	if err != nil {
		return stemcellLoad{}, messages.Errorf(messages.CodeStemcellInvalid, "cannot name the stemcell: %w", err)
	}
	sc, err := stemcell.Open(path)
	if err != nil {
		e := messages.AsError(err)
		if e.Hint == "" {
			e = e.WithHint("Stemcell is invalid, please fix, verify and upload again")
		}
		return stemcellLoad{}, e
	}
	load, err := loadOf(sc, messages.StemcellRef{Path: path, Host: daemon.HostID()})
	load.file = sc
	return load, err
}

// loadOf describes a stemcell to the CPI.
func loadOf(sc *stemcell.Stemcell, ref messages.StemcellRef) (stemcellLoad, error) {
	properties, err := json.Marshal(sc.CloudProperties)
	if err != nil {
		return stemcellLoad{}, messages.Errorf(messages.CodeStemcellInvalid, "cannot read the cloud properties of the stemcell: %w", err)
	}
	ref.Size, ref.Name, ref.Version = sc.Size, sc.Name, sc.Version
	ref.APIVersion, ref.SHA1, ref.CloudProperties = sc.APIVersion, sc.SHA1, properties
	return stemcellLoad{ref: &ref, spec: sc.ApplySpec}, nil
}

func sealTo(keys string, v any) (*messages.Sealed, error) {
	to, err := seal.PublicKey(keys, messages.RoleOrchestrator)
	if err != nil {
		return nil, err
	}
	ring, err := seal.Ephemeral()
	if err != nil {
		return nil, err
	}
	return ring.Seal(to, v)
}

// identify gives the uid that a request carries: the one on disk, unless its
// deployment was deleted since; then, and at first, a new one.
func identify(ids *statefile.Identities, name string, x sight, adopt bool) (string, error) {
	uid, err := ids.Get(name)
	if err != nil {
		return "", err
	}
	switch {
	case x.state.UID != "" && adopt:
		return x.state.UID, ids.Put(name, x.state.UID)
	case x.state.UID != "" && uid == "":
		return "", messages.Errorf(messages.CodeUIDMismatch, "the bus knows a deployment `%s' that was not made from this folder", name).
			WithHint("restore .microbosh from where it was made, or say --adopt when it is meant")
	case x.state.UID != "":
		return uid, nil // the orchestrator refuses another deployment's
	case uid == "":
		return ids.Mint(name)
	case len(x.state.FinishedRuns) == 0:
		return uid, nil // a first request that nobody has begun to work on
	case x.taken && x.ticket.uid == uid:
		return uid, nil // the deployment is gone, a new one's request waits
	default:
		return ids.Mint(name)
	}
}

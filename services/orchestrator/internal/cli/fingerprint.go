package cli

import (
	"path/filepath"

	"github.com/microbosh/microbosh/pkg/messages"
	"github.com/microbosh/microbosh/pkg/seal"
)

// originalLog is where `bosh micro` logged to, beside the manifest.
const originalLog = "bosh_micro_deploy.log"

// fingerprint tells this manifest from others without telling anything of it:
// the secrets in it may be easy to guess, and everybody in operations reads the
// journal. It is keyed with the curve key that all command lines of a control
// plane share. What is recorded already, under an older key or in the
// original's form, keeps its form: nothing looks changed that is not.
func fingerprint(keys string, d chosen, x sight) (string, error) {
	ring, err := seal.ReadRing(keys, messages.RoleCLI)
	if err != nil {
		return "", err
	}
	clear := []byte(d.manifest.ConfigSHA1())
	recorded := []string{x.state.ConfigSHA1}
	if vm := x.state.VM; vm != nil {
		recorded = append(recorded, vm.ConfigSHA1)
	}
	if x.taken {
		recorded = append(recorded, x.command.ConfigSHA1)
	}
	originals := originalFingerprints(d)
	for _, r := range recorded {
		if r != "" && (originals[r] || ring.Recognise(clear, r)) {
			return r, nil
		}
	}
	return ring.Digest(clear), nil
}

// originalFingerprints are those that `bosh micro` may have recorded: they know
// the folder that it ran in, which held the manifest or its folder.
func originalFingerprints(d chosen) map[string]bool {
	out := map[string]bool{}
	beside := filepath.Dir(d.choice.Deployment)
	for _, dir := range []string{beside, filepath.Dir(beside)} {
		out[d.manifest.OriginalConfigSHA1(dir, filepath.Join(beside, originalLog))] = true
	}
	return out
}

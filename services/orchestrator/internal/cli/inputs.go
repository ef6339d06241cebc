package cli

import (
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/microbosh/microbosh/pkg/manifest"
	"github.com/microbosh/microbosh/pkg/messages"
	"github.com/microbosh/microbosh/services/orchestrator/internal/statefile"
)

// withInputs gives a verb that reads the manifest bosh-cli's flags for it.
func (a *app) withInputs(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringArrayVarP(&a.inputs.Vars, "var", "v", nil, "NAME=VALUE for ((NAME)) in the manifest; everybody on this machine can read it, so secrets go into --vars-file")
	flags.StringArrayVarP(&a.inputs.VarsFiles, "vars-file", "l", nil, "YAML file with values for variables")
	flags.StringArrayVarP(&a.inputs.OpsFiles, "ops-file", "o", nil, "YAML file with operations that change the manifest")
}

// inputsWith are the flags' inputs after those that are remembered.
func (a *app) inputsWith(c statefile.Choice) manifest.Inputs {
	return manifest.Inputs{
		Vars:      a.inputs.Vars,
		VarsFiles: append(c.VarsFiles[:len(c.VarsFiles):len(c.VarsFiles)], a.inputs.VarsFiles...),
		OpsFiles:  append(c.OpsFiles[:len(c.OpsFiles):len(c.OpsFiles)], a.inputs.OpsFiles...),
	}
}

// inputWords are the flags again that say which deployment is meant, for a
// command that is proposed: without the values of variables.
func (a *app) inputWords() string {
	var b strings.Builder
	for _, f := range []struct{ flag, value, env string }{
		{"-m", a.manifest, "MICROBOSH_MANIFEST"}, {"--bus", a.bus, "MICROBOSH_BUS"}, {"--keys", a.keys, "MICROBOSH_KEYS"},
	} {
		if f.value != "" && f.value != a.getenv(f.env) {
			b.WriteString(" " + f.flag + " " + f.value)
		}
	}
	for _, v := range a.inputs.Vars {
		name, _, _ := strings.Cut(v, "=")
		b.WriteString(" -v " + name + "=...")
	}
	for _, path := range a.inputs.VarsFiles {
		b.WriteString(" -l " + path)
	}
	for _, path := range a.inputs.OpsFiles {
		b.WriteString(" -o " + path)
	}
	return b.String()
}

func absolute(paths []string) ([]string, error) {
	var out []string
	for _, path := range paths {
		abs, err := filepath.Abs(path)
		if err != nil {
			return nil, messages.Errorf(messages.CodeManifestMissing, "cannot name the file %s: %w", path, err)
		}
		out = append(out, abs)
	}
	return out, nil
}

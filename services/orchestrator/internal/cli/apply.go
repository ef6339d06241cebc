package cli

import (
	"encoding/json"

	"github.com/spf13/cobra"

	"github.com/microbosh/microbosh/pkg/manifest"
	"github.com/microbosh/microbosh/pkg/messages"
)

const applyLong = `Stop the jobs, give the agent another apply spec and start the jobs that it names.

SPEC is an apply_spec.yml. Addresses and the manifest's properties go into it
as in a deploy. Nothing is asked, and a deploy does not know of it: the next
one that has something to do brings back the stemcell's spec.`

func (a *app) applyCommand() *cobra.Command {
	var detach bool
	cmd := &cobra.Command{
		Use:   "apply SPEC",
		Short: "apply another spec to the VM",
		Long:  applyLong,
		Args:  usageArgs(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, stop := interruptible(cmd)
			defer stop()
			v := jobsVerb{verb: messages.VerbApply, done: "Applied " + args[0] + " to"}
			if _, err := a.load("No deployment set"); err != nil {
				return err
			}
			var err error
			if v.spec, err = readSpec(args[0]); err != nil {
				return err
			}
			return a.jobs(ctx, v, detach)
		},
	}
	cmd.Flags().BoolVar(&detach, "detach", false, "return once the request is on the bus")
	return cmd
}

func readSpec(path string) (json.RawMessage, error) {
	doc, err := manifest.ReadDocument(path)
	if err != nil {
		return nil, err
	}
	if m, ok := doc.(map[string]any); !ok || len(m) == 0 {
		return nil, messages.Errorf(messages.CodeMalformed, "%s is no apply spec: it holds no map", path).
			WithHint("an apply spec has deployment, job, packages and properties; a micro stemcell's is apply_spec.yml in its .tgz")
	}
	raw, err := json.Marshal(doc)
	if err != nil {
		return nil, messages.Errorf(messages.CodeMalformed, "%s is no apply spec: %w", path, err).
			WithHint("all keys of an apply spec are plain words")
	}
	return raw, nil
}

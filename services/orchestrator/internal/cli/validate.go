package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/microbosh/microbosh/pkg/manifest"
	"github.com/microbosh/microbosh/pkg/messages"
)

const validateLong = `Read a manifest, or the chosen deployment's, and tell everything that is wrong
in it, each with file, line and column. Nothing else is asked: no bus, no cloud.

--schema prints the manifest's JSON Schema instead, for editors.`

func (a *app) validateCommand() *cobra.Command {
	var schema bool
	cmd := &cobra.Command{
		Use:   "validate [MANIFEST]",
		Short: "check a manifest",
		Long:  validateLong,
		Args:  usageArgs(cobra.MaximumNArgs(1)),
		RunE: func(_ *cobra.Command, args []string) error {
			if schema {
				if len(args) > 0 {
					return usage("--schema takes no manifest")
				}
				s := manifest.Schema()
				a.ui.Result(string(s), s)
				return nil
			}
			return a.validate(strings.Join(args, ""))
		},
	}
	cmd.Flags().BoolVar(&schema, "schema", false, "print the JSON Schema of manifests")
	return cmd
}

// validity is what a program reads of a manifest that is right.
type validity struct {
	Manifest   string `json:"manifest"`
	Deployment string `json:"deployment"`
	Plugin     string `json:"plugin"`
}

func (a *app) validate(name string) error {
	if name != "" {
		a.manifest = name
	}
	c, err := a.choice()
	if err != nil {
		return err
	}
	if c.Deployment == "" {
		return messages.Errorf(messages.CodeNoDeployment, "No deployment set").
			WithHint("name a manifest: microbosh validate MANIFEST")
	}
	m, err := manifest.LoadWith(c.Deployment, a.inputsWith(c))
	if err != nil {
		if a.ui.JSON {
			for _, p := range manifest.ProblemsOf(err) {
				a.ui.Problem(p)
			}
		}
		return err
	}
	text := fmt.Sprintf("The manifest '%s' is right", c.Deployment)
	a.ui.Result(text, validity{c.Deployment, m.Name, m.Cloud.Plugin})
	return nil
}

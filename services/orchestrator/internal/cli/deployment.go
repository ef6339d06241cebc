package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/microbosh/microbosh/pkg/manifest"
	"github.com/microbosh/microbosh/pkg/messages"
	"github.com/microbosh/microbosh/services/orchestrator/internal/statefile"
)

func (a *app) deploymentCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "deployment [NAME]",
		Short: "choose a deployment by its folder or manifest, or show the chosen one",
		Long: `Choose a deployment by its folder or manifest, or show the chosen one.

Files given with -l and -o are remembered with it: all verbs read them then.
Values given with -v are not.`,
		Args: usageArgs(cobra.MaximumNArgs(1)),
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return a.showDeployment()
			}
			return a.chooseDeployment(args[0])
		},
	}
}

func (a *app) showDeployment() error {
	c, err := a.choice()
	if err != nil {
		return err
	}
	text := "Deployment not set"
	if c.Deployment != "" {
		text = fmt.Sprintf("Current deployment is '%s'", c.Deployment)
		for _, file := range c.OpsFiles {
			text += fmt.Sprintf("\nwith the ops file '%s'", file)
		}
		for _, file := range c.VarsFiles {
			text += fmt.Sprintf("\nwith the vars file '%s'", file)
		}
	}
	a.ui.Result(text, c)
	return nil
}

func (a *app) chooseDeployment(name string) error {
	file, err := a.configFile()
	if err != nil {
		return err
	}
	path, err := manifestPath(name)
	if err != nil {
		return err
	}
	m, err := manifest.LoadWith(path, a.inputs)
	if err != nil {
		return err
	}
	old, err := statefile.ReadChoice(file)
	if err != nil {
		return err
	}
	c := statefile.Choice{Deployment: path, Target: old.Target, TargetName: old.TargetName}
	if c.VarsFiles, err = absolute(a.inputs.VarsFiles); err != nil {
		return err
	}
	if c.OpsFiles, err = absolute(a.inputs.OpsFiles); err != nil {
		return err
	}
	if target := a.knownTarget(path, m); target != "" && target != old.Target {
		c.Target, c.TargetName = target, ""
		a.ui.Say("WARNING! Your target has been changed to `%s'!", target)
	}
	if err := c.Write(file); err != nil {
		return err
	}
	a.ui.Result(fmt.Sprintf("Deployment set to '%s'", path), c)
	return nil
}

// knownTarget is where the Director of a manifest answers, as far as the
// manifest tells.
func (a *app) knownTarget(_ string, m *manifest.Manifest) string {
	ip := m.Network.VIP
	if ip == "" {
		ip = m.Network.IP
	}
	if ip == "" {
		return ""
	}
	return directorURL(ip)
}

// directorPort is where a micro BOSH's Director listens.
const directorPort = 25555

func directorURL(ip string) string { return fmt.Sprintf("https://%s:%d", ip, directorPort) }

// chosen is the chosen deployment's manifest, read.
type chosen struct {
	choice   statefile.Choice
	manifest *manifest.Manifest
}

// load reads the chosen manifest; missing says that none is chosen. Without -v,
// -l and -o it is read as the last deploy read it.
func (a *app) load(missing string) (chosen, error) {
	return a.loadBy(missing, func(c statefile.Choice) (*manifest.Manifest, error) {
		in, err := a.remembered(c)
		if err != nil {
			return nil, err
		}
		return a.loadAs(c, in)
	})
}

// loadBy gives the choice also when its manifest cannot be read.
func (a *app) loadBy(missing string, read func(statefile.Choice) (*manifest.Manifest, error)) (chosen, error) {
	c, err := a.choice()
	if err != nil {
		return chosen{}, err
	}
	if c.Deployment == "" {
		return chosen{}, messages.Errorf(messages.CodeNoDeployment, "%s", missing).
			WithHint("choose one: microbosh deployment DIR_OR_MANIFEST")
	}
	m, err := read(c)
	if err != nil {
		return chosen{choice: c}, err
	}
	if _, err := messages.ParseDeployment(m.Name); err != nil {
		return chosen{choice: c}, fmt.Errorf("cannot use the manifest %s: %w", c.Deployment, err)
	}
	return chosen{choice: c, manifest: m}, nil
}

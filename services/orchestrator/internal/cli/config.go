package cli

import (
	"cmp"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/microbosh/microbosh/services/orchestrator/internal/statefile"
)

func (a *app) configCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "config",
		Short: "show the settings",
		Args:  usageArgs(cobra.NoArgs),
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	var origins bool
	show := &cobra.Command{
		Use:   "show",
		Short: "show every setting, and where it comes from",
		Args:  usageArgs(cobra.NoArgs),
		RunE:  func(cmd *cobra.Command, _ []string) error { return a.showConfig(cmd, origins) },
	}
	show.Flags().BoolVar(&origins, "origins", false, "say where each value comes from: a flag, the environment, a context, a file or the default")
	a.withInputs(show)
	cmd.AddCommand(show)
	return cmd
}

// setting is one value and its origin.
type setting struct {
	Name   string `json:"name"`
	Value  string `json:"value"`
	Origin string `json:"origin"`
}

func (a *app) showConfig(cmd *cobra.Command, origins bool) error {
	flagBus := a.bus
	if a.bus == "" {
		if err := a.applyContext(); err != nil {
			return err
		}
	}
	settings, err := a.settings(cmd, flagBus)
	if err != nil {
		return err
	}
	var b strings.Builder
	for _, s := range settings {
		fmt.Fprintf(&b, "%-10s %s", s.Name, cmp.Or(s.Value, a.ui.Missing()))
		if origins {
			fmt.Fprintf(&b, "  (%s)", s.Origin)
		}
		b.WriteString("\n")
	}
	a.ui.Result(b.String(), settings)
	return nil
}

func (a *app) settings(cmd *cobra.Command, bus string) ([]setting, error) {
	file, err := a.configFile()
	if err != nil {
		return nil, err
	}
	remembered, err := statefile.ReadChoice(file)
	if err != nil {
		return nil, err
	}
	chosen, err := a.choice()
	if err != nil {
		return nil, err
	}
	// from tells where a value comes from: the first of flag, variable and what
	// else there may be.
	from := func(flag, variable, other string) string {
		switch {
		case flag != "" && cmd.Flags().Changed(flag):
			return "--" + flag
		case variable != "" && a.getenv(variable) != "":
			return variable
		default:
			return other
		}
	}
	inContext, manifestFrom := "default", "default"
	if a.context != "" {
		inContext = "context " + a.context
	}
	if remembered.Deployment != "" {
		manifestFrom = file
	}
	keys, keysFrom := a.keys, inContext
	if keys == "" && a.bus == "" && chosen.Deployment != "" {
		keys = filepath.Join(folder(chosen.Deployment), "keys")
	}
	busValue, busFrom := a.bus, inContext
	if bus != "" {
		busFrom = "default"
	}
	if busValue == "" {
		busValue = "of the command's own"
	}
	inputs := a.inputsWith(chosen)
	filesFrom := func(files []string) string {
		if len(files) == 0 {
			return "default"
		}
		return file
	}
	contextFrom := "default"
	if a.context != "" {
		contextFrom = filepath.Join(filepath.Dir(file), contextsName)
	}
	return []setting{
		{"context", cmp.Or(a.context, localContext), contextFrom},
		{"bus", busValue, from("bus", "MICROBOSH_BUS", busFrom)},
		{"keys", keys, from("keys", "MICROBOSH_KEYS", keysFrom)},
		{"manifest", chosen.Deployment, from("manifest", "MICROBOSH_MANIFEST", manifestFrom)},
		{"vars files", strings.Join(inputs.VarsFiles, ", "), from("vars-file", "", filesFrom(chosen.VarsFiles))},
		{"ops files", strings.Join(inputs.OpsFiles, ", "), from("ops-file", "", filesFrom(chosen.OpsFiles))},
		{"host", cmp.Or(a.host, "127.0.0.1"), from("host", "MICROBOSH_HOST", "default")},
		{"settle", cmp.Or(a.getenv("MICROBOSH_SETTLE"), "120s"), from("", "MICROBOSH_SETTLE", "default")},
		{"log", cmp.Or(a.getenv("MICROBOSH_LOG"), "info"), from("", "MICROBOSH_LOG", "default")},
		{"config", file, from("config", "XDG_CONFIG_HOME", "default")},
	}, nil
}

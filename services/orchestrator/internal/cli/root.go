package cli

import (
	"github.com/spf13/cobra"
)

const long = `microbosh boots one VM from a stemcell on an IaaS, drives the agent inside it
until its jobs run, and remembers what it made.

Without a bus of its own (--bus) a command starts what it needs for as long as
it runs, with its state in .microbosh beside the manifest.

Exit codes: 0 ok, 1 failed, 2 usage, 3 needs attention, 4 bus unreachable,
10 changes found, 130 interrupted.`

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:           "microbosh",
		Short:         "deploy a micro BOSH, and forget nothing",
		Long:          long,
		SilenceErrors: true,
		SilenceUsage:  true,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return unknownCommand(cmd, args[0])
			}
			return cmd.Help()
		},
		Args: cobra.ArbitraryArgs,
	}
	root.CompletionOptions.DisableDefaultCmd = true
	root.PersistentPreRunE = func(cmd *cobra.Command, _ []string) error { return a.useChosenContext(cmd) }
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error { return usage("%s: %w", cmd.CommandPath(), err) })

	root.SetHelpCommand(helpCommand())

	flags := root.PersistentFlags()
	flags.StringVar(&a.bus, "bus", a.getenv("MICROBOSH_BUS"), "URL of the bus (MICROBOSH_BUS)")
	flags.StringVar(&a.keys, "keys", a.getenv("MICROBOSH_KEYS"), "folder with the keys for that bus (MICROBOSH_KEYS)")
	flags.StringVarP(&a.manifest, "manifest", "m", a.getenv("MICROBOSH_MANIFEST"), "manifest, instead of the chosen one (MICROBOSH_MANIFEST)")
	flags.StringVar(&a.config, "config", "", "file that remembers the chosen deployment")
	flags.StringVar(&a.host, "host", a.getenv("MICROBOSH_HOST"), "address of this machine that VMs reach, for a bus of the command's own (MICROBOSH_HOST; default 127.0.0.1)")
	flags.DurationVar(&a.wait, "wait", 0, "how long to wait for the bus (0 = some seconds)")
	flags.BoolVarP(&a.yes, "yes", "n", false, "ask nothing")
	flags.BoolVar(&a.ui.JSON, "json", false, "one JSON object per line on stdout")

	root.AddGroup(
		&cobra.Group{ID: "deployment", Title: "Deployments:"},
		&cobra.Group{ID: "system", Title: "The system itself:"},
	)
	for _, c := range []*cobra.Command{
		a.deploymentCommand(), a.validateCommand(), a.applyCommand(),
		a.planCommand(), a.deployCommand(), a.deleteCommand(), a.stopCommand(), a.startCommand(), a.statusCommand(), a.deploymentsCommand(),
		a.watchCommand(), a.eventsCommand(), a.logsCommand(), a.consoleCommand(), a.historyCommand(), a.stateCommand(), a.cancelCommand(), a.agentCommand(), a.doctorCommand(),
	} {
		c.GroupID = "deployment"
		if c.Name() != "deployments" { // which reads no manifest
			for _, verb := range append(c.Commands(), c) {
				a.withInputs(verb)
			}
		}
		root.AddCommand(c)
	}
	for _, c := range []*cobra.Command{
		a.devCommand(), a.busCommand(), a.serveCommand(), a.directorCommand(), a.stemcellCommand(), a.versionCommand(),
		a.initCommand(), a.rotateCommand(), a.provisionCommand(),
		a.contextCommand(), a.configCommand(), a.explainCommand(), a.completionCommand(), a.manCommand(),
	} {
		c.GroupID = "system"
		root.AddCommand(c)
	}
	return root
}

package cli

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"github.com/microbosh/microbosh/pkg/messages"
	"github.com/microbosh/microbosh/services/orchestrator/internal/steps"
	"github.com/microbosh/microbosh/services/orchestrator/internal/ui"
)

const consoleLong = `Print the end of what the VM wrote to its console, as the cloud keeps it: what a
VM says that boots but never answers. The manifest's secrets are cut out.

With --follow it goes on with what the VM prints, until Ctrl-C or the VM's end.`

func (a *app) consoleCommand() *cobra.Command {
	var follow bool
	cmd := &cobra.Command{
		Use:   "console",
		Short: "print the end of the VM's console",
		Long:  consoleLong,
		Args:  usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, stop := interruptible(cmd)
			defer stop()
			return a.console(ctx, follow)
		},
	}
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "go on with what the VM prints, until Ctrl-C or its end")
	return cmd
}

func (a *app) console(ctx context.Context, follow bool) error {
	d, err := a.load("No deployment set")
	if err != nil {
		return err
	}
	nothing := messages.Errorf(messages.CodeNoDeployment, "`%s' has no VM", d.manifest.Name)
	if a.bus == "" && !exists(folder(d.choice.Deployment)) {
		return nothing
	}
	s, err := a.openAsking(ctx, folder(d.choice.Deployment))
	if err != nil {
		return err
	}
	defer s.close()
	x, err := look(ctx, s, d.manifest.Name)
	if err != nil {
		return interruptedOr(ctx, err)
	}
	if x.state.VM == nil {
		return nothing
	}
	read := func(ctx context.Context) (string, error) {
		var reply messages.ConsoleReply
		err := s.ask(ctx, d.manifest, messages.SvcConsole, messages.VMArgs{VMCID: x.state.VM.CID}, &reply)
		return ui.Printable(strings.ToValidUTF8(steps.Redact(reply.Output, steps.Secrets(d.manifest)), "?")), err
	}
	if follow {
		return a.followConsole(ctx, read, x.state.VM.CID)
	}
	output, err := read(ctx)
	if err != nil {
		return interruptedOr(ctx, err)
	}
	text := output
	if strings.TrimSpace(output) == "" {
		text = "The console is empty: the VM has not begun to boot, or its image writes to another console"
	}
	a.ui.Result(text, map[string]string{"vm": x.state.VM.CID, "output": output})
	return nil
}

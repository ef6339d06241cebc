package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/microbosh/microbosh/pkg/messages"
	"github.com/microbosh/microbosh/services/orchestrator/internal/explain"
	"github.com/microbosh/microbosh/services/orchestrator/internal/ui"
)

func (a *app) explainCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "explain [CODE]",
		Short: "tell what an error code means and what to do, or list the codes",
		Args:  usageArgs(cobra.MaximumNArgs(1)),
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective) {
			var codes []cobra.Completion
			for _, p := range explain.Pages() {
				codes = append(codes, string(p.Code))
			}
			return codes, cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return a.listCodes()
			}
			return a.explain(args[0])
		},
	}
}

// explained is a page with the exit code of a command that ends with it.
type explained struct {
	explain.Page
	Exit int `json:"exit_code"`
}

func explainedOf(p explain.Page) explained {
	return explained{p, exitCode(&messages.Error{Code: p.Code})}
}

func (a *app) listCodes() error {
	var b strings.Builder
	var all []explained
	for _, p := range explain.Pages() {
		first, _, _ := strings.Cut(p.What, ". ")
		fmt.Fprintf(&b, "%-23s %s\n", p.Code, strings.TrimSuffix(first, "."))
		all = append(all, explainedOf(p))
	}
	a.ui.Result(b.String(), all)
	return nil
}

func (a *app) explain(code string) error {
	p, ok := explain.Find(messages.Code(code))
	if !ok {
		return messages.Errorf(messages.CodeUsage, "there is no error code %q", ui.Printable(code)).
			WithHint("`microbosh explain` lists them")
	}
	e := explainedOf(p)
	const wide = 78
	a.ui.Result(fmt.Sprintf("%s (exit code %d)\n\nWhat happened\n%s\nWhy\n%s\nWhat to do\n%s", p.Code, e.Exit,
		ui.Wrap(p.What, "  ", wide), ui.Wrap(p.Why, "  ", wide), ui.Wrap(p.Do, "  ", wide)), e)
	return nil
}

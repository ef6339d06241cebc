package cli

import (
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"

	"github.com/microbosh/microbosh/pkg/messages"
)

const completionLong = `Print a script that completes verbs, flags and names in a shell.

  bash   microbosh completion bash > ~/.local/share/bash-completion/completions/microbosh
  zsh    microbosh completion zsh > "${fpath[1]}/_microbosh"
  fish   microbosh completion fish > ~/.config/fish/completions/microbosh.fish`

func (a *app) completionCommand() *cobra.Command {
	return &cobra.Command{
		Use:       "completion bash|zsh|fish",
		Short:     "print a completion script for a shell",
		Long:      completionLong,
		ValidArgs: []cobra.Completion{"bash", "zsh", "fish"},
		Args:      usageArgs(cobra.MatchAll(cobra.ExactArgs(1), cobra.OnlyValidArgs)),
		RunE: func(cmd *cobra.Command, args []string) error {
			root := cmd.Root()
			switch args[0] {
			case "bash":
				return root.GenBashCompletionV2(a.ui.Out, true)
			case "zsh":
				return root.GenZshCompletion(a.ui.Out)
			default:
				return root.GenFishCompletion(a.ui.Out, true)
			}
		},
	}
}

// unknownCommand says so, and what may have been meant.
func unknownCommand(root *cobra.Command, name string) error {
	err := usage("unknown command %q", name)
	root.SuggestionsMinimumDistance = 2
	if meant := root.SuggestionsFor(name); len(meant) > 0 {
		return messages.AsError(err).WithHint("did you mean %s? `microbosh help` lists the commands", strings.Join(meant, " or "))
	}
	return err
}

// helpCommand is cobra's, but for a name that is none.
func helpCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "help [COMMAND]",
		Short:   "tell about a command",
		GroupID: "system",
		RunE: func(cmd *cobra.Command, args []string) error {
			about, rest, err := cmd.Root().Find(args)
			if err != nil || len(rest) > 0 {
				return unknownCommand(cmd.Root(), strings.Join(args, " "))
			}
			about.InitDefaultHelpFlag()
			return about.Help()
		},
	}
}

func (a *app) manCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "man DIR",
		Short: "write the man pages into a folder",
		Long: `Write the man pages of all verbs into a folder, which is made when it is not there.

  microbosh man ~/.local/share/man/man1`,
		Args: usageArgs(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error { return a.man(cmd.Root(), args[0]) },
	}
}

func (a *app) man(root *cobra.Command, dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return messages.Errorf(messages.CodeUsage, "cannot make the folder: %w", err).WithHint("name a folder that you may write to")
	}
	root.DisableAutoGenTag = true // no date: the same program writes the same pages
	var undated time.Time
	header := &doc.GenManHeader{Title: "MICROBOSH", Section: "1", Source: "microbosh " + semver(), Manual: "microbosh", Date: &undated}
	if err := doc.GenManTree(root, header, dir); err != nil {
		return messages.Errorf(messages.CodeInternal, "cannot write the man pages: %w", err)
	}
	pages, err := filepath.Glob(filepath.Join(dir, "microbosh*.1"))
	if err != nil {
		return messages.Errorf(messages.CodeInternal, "cannot list the man pages: %w", err)
	}
	a.ui.Result("Wrote the man pages into "+dir, pages)
	return nil
}

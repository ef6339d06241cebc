package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/microbosh/microbosh/pkg/manifest"
	"github.com/microbosh/microbosh/pkg/messages"
	"github.com/microbosh/microbosh/services/orchestrator/internal/statefile"
	"github.com/microbosh/microbosh/services/orchestrator/internal/ui"
)

// Options are the process as the command line sees it.
type Options struct {
	Args     []string // without the program's name
	In       io.Reader
	Out, Err io.Writer
	Getenv   func(string) string
	Terminal func() (columns, rows int) // size of the terminal that Err is; nil when it is none
}

// Exit codes, documented in the help.
const (
	exitOK          = 0
	exitFailed      = 1
	exitUsage       = 2
	exitAttention   = 3
	exitUnreachable = 4
	exitChanges     = 10
	exitInterrupted = 130
)

// app is what every command needs.
type app struct {
	ui     *ui.Terminal
	getenv func(string) string

	// Global flags.
	bus, keys string
	manifest  string          // beats the chosen deployment
	inputs    manifest.Inputs // what changes the manifest as it is read
	context   string          // where bus and keys come from, "" for no context
	config    string          // file of the chosen deployment
	yes       bool
	host      string        // where a bus of this command's own listens
	wait      time.Duration // for the bus; 0 = the defaults
}

// exitError ends the program with a code; what there was to say has been said.
type exitError int

func (exitError) Error() string { return "failed" }

// Run executes one command line and returns its exit code.
func Run(ctx context.Context, o Options) int {
	a := &app{ui: terminal(o), getenv: o.Getenv}
	root := a.root()
	root.SetArgs(o.Args)
	root.SetIn(o.In)
	root.SetOut(o.Out)
	root.SetErr(o.Err)
	err := root.ExecuteContext(ctx)
	var code exitError
	if err == nil {
		return exitOK
	}
	if errors.As(err, &code) {
		return int(code)
	}
	a.ui.Error(err)
	return exitCode(err)
}

func terminal(o Options) *ui.Terminal {
	t := &ui.Terminal{In: o.In, Out: o.Out, Err: o.Err}
	if o.Terminal != nil && o.Getenv("TERM") != "dumb" {
		t.Size = o.Terminal
		t.Colour = o.Getenv("NO_COLOR") == ""
	}
	return t
}

func exitCode(err error) int {
	switch messages.CodeOf(err) {
	case messages.CodeUsage, messages.CodeConfirmationNeeded:
		return exitUsage
	case messages.CodeUnsettled:
		return exitAttention
	case messages.CodeBusUnreachable, messages.CodeBusDenied:
		return exitUnreachable
	case messages.CodeInterrupted:
		return exitInterrupted
	default:
		return exitFailed
	}
}

// interruptible ends the context at the first Ctrl-C; a second one ends the
// program at once.
func interruptible(cmd *cobra.Command) (context.Context, func()) {
	ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
	go func() {
		<-ctx.Done()
		stop()
	}()
	return ctx, stop
}

// configFile is where the chosen deployment is remembered.
func (a *app) configFile() (string, error) {
	if a.config != "" {
		return a.config, nil
	}
	dir := a.getenv("XDG_CONFIG_HOME")
	if dir == "" {
		home := a.getenv("HOME")
		if home == "" {
			return "", messages.Errorf(messages.CodeUsage, "cannot tell where the chosen deployment is remembered: HOME is not set").
				WithHint("name a file with --config, or the manifest with --manifest")
		}
		dir = filepath.Join(home, ".config")
	}
	return filepath.Join(dir, "microbosh", "config.json"), nil
}

// choice is the chosen deployment; --manifest beats what is remembered.
func (a *app) choice() (statefile.Choice, error) {
	path, err := a.configFile()
	if err != nil && a.manifest == "" {
		return statefile.Choice{}, err
	}
	var c statefile.Choice
	if err == nil {
		if c, err = statefile.ReadChoice(path); err != nil {
			return statefile.Choice{}, err
		}
	}
	if a.manifest != "" {
		file, err := manifestPath(a.manifest)
		if err != nil {
			return statefile.Choice{}, err
		}
		if file != c.Deployment {
			c = statefile.Choice{Deployment: file}
		}
	}
	return c, nil
}

// manifestPath is the manifest that a person means by a name: the file itself
// or micro_bosh.yml in that folder.
func manifestPath(name string) (string, error) {
	path := name
	if info, err := os.Stat(name); err == nil && info.IsDir() {
		path = filepath.Join(name, "micro_bosh.yml")
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return "", messages.Errorf(messages.CodeManifestMissing, "cannot name the manifest: %w", err)
	}
	if _, err := os.Stat(abs); err != nil {
		return "", messages.Errorf(messages.CodeManifestMissing, "Missing manifest for %s (tried '%s')", name, abs).
			WithHint("name a micro_bosh.yml or the folder that holds one; docs/manifest.md shows how to write it")
	}
	return abs, nil
}

// noArgs, atMost and friends make cobra's complaints usage errors.
func usageArgs(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		err := check(cmd, args)
		if err == nil {
			return nil
		}
		if strings.HasPrefix(err.Error(), "unknown command") && !cmd.HasSubCommands() {
			err = fmt.Errorf("takes no argument, so not %q", args[0])
		}
		return messages.Errorf(messages.CodeUsage, "%s: %w", cmd.CommandPath(), err).WithHint("`%s --help` tells how", cmd.CommandPath())
	}
}

func usage(format string, args ...any) error {
	return messages.Errorf(messages.CodeUsage, format, args...).WithHint("`microbosh help` lists the commands")
}

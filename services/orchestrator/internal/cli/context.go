package cli

import (
	"fmt"
	"maps"
	"net/url"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/microbosh/microbosh/pkg/messages"
	"github.com/microbosh/microbosh/services/orchestrator/internal/statefile"
)

// localContext is the name of having no control plane.
const localContext = "local"

// contextsName is the file of the contexts, beside that of the chosen
// deployment.
const contextsName = "contexts.json"

const contextLong = `Name control planes, and choose the one that commands work with: a bus and the
folder with this person's keys for it. --bus and MICROBOSH_BUS beat the choice.

In the context ` + localContext + `, the first one, a command starts what it needs by itself.`

func (a *app) contextCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "context",
		Short: "choose among control planes",
		Long:  contextLong,
		Args:  usageArgs(cobra.NoArgs),
		RunE:  func(*cobra.Command, []string) error { return a.listContexts() },
	}
	cmd.AddCommand(
		&cobra.Command{
			Use: "list", Short: "list the contexts", Args: usageArgs(cobra.NoArgs),
			RunE: func(*cobra.Command, []string) error { return a.listContexts() },
		},
		&cobra.Command{
			Use: "add NAME", Short: "name the control plane of --bus and --keys", Args: usageArgs(cobra.ExactArgs(1)),
			RunE: func(_ *cobra.Command, args []string) error { return a.addContext(args[0]) },
		},
		&cobra.Command{
			Use: "use NAME", Short: "work with a control plane", Args: usageArgs(cobra.ExactArgs(1)),
			ValidArgsFunction: a.completeContext,
			RunE:              func(_ *cobra.Command, args []string) error { return a.useContext(args[0]) },
		},
		&cobra.Command{
			Use: "remove NAME", Short: "forget a control plane", Args: usageArgs(cobra.ExactArgs(1)),
			ValidArgsFunction: a.completeContext,
			RunE:              func(_ *cobra.Command, args []string) error { return a.removeContext(args[0]) },
		},
	)
	return cmd
}

func (a *app) contexts() (statefile.Contexts, string, error) {
	file, err := a.configFile()
	if err != nil {
		return statefile.Contexts{}, "", err
	}
	path := filepath.Join(filepath.Dir(file), contextsName)
	c, err := statefile.ReadContexts(path)
	return c, path, err
}

// useChosenContext takes bus and keys from the chosen context, for a verb that
// works with a deployment and was not told another bus.
func (a *app) useChosenContext(cmd *cobra.Command) error {
	for cmd.HasParent() && cmd.Parent().HasParent() {
		cmd = cmd.Parent()
	}
	if a.bus != "" || cmd.GroupID != "deployment" {
		return nil
	}
	return a.applyContext()
}

func (a *app) applyContext() error {
	if _, err := a.configFile(); err != nil {
		return nil // no HOME: nothing can have been chosen
	}
	c, _, err := a.contexts()
	if err != nil {
		return err
	}
	chosen, err := c.Chosen()
	if err != nil || chosen == nil {
		return err
	}
	a.context, a.bus = c.Current, chosen.Bus
	if a.keys == "" {
		a.keys = chosen.Keys
	}
	return nil
}

// contextRow is what a program reads of a context.
type contextRow struct {
	Name    string `json:"name"`
	Current bool   `json:"current"`
	Bus     string `json:"bus,omitempty"`
	Keys    string `json:"keys,omitempty"`
}

func (a *app) listContexts() error {
	c, _, err := a.contexts()
	if err != nil {
		return err
	}
	rows := []contextRow{{Name: localContext, Current: c.Current == ""}}
	for _, name := range slices.Sorted(maps.Keys(c.Named)) {
		rows = append(rows, contextRow{name, name == c.Current, c.Named[name].Bus, c.Named[name].Keys})
	}
	var b strings.Builder
	for _, r := range rows {
		mark, where := " ", "a bus of the command's own"
		if r.Current {
			mark = "*"
		}
		if r.Bus != "" {
			where = fmt.Sprintf("%s, keys in %s", r.Bus, r.Keys)
		}
		fmt.Fprintf(&b, "%s %-15s %s\n", mark, r.Name, where)
	}
	a.ui.Result(b.String(), rows)
	return nil
}

func (a *app) addContext(name string) error {
	if _, err := messages.ParseDeployment(name); err != nil || name == localContext {
		return usage("cannot name a context %q: letters, digits, - and _, and not %s", name, localContext)
	}
	if a.bus == "" || a.keys == "" {
		return usage("context add needs --bus and --keys")
	}
	u, err := url.Parse(a.bus)
	if err != nil || u.Host == "" || !slices.Contains([]string{"nats", "tls", "ws", "wss"}, u.Scheme) {
		return usage("--bus must be a URL such as nats://HOST:PORT or tls://HOST:PORT")
	}
	if u.User != nil {
		return usage("a context keeps no password: the login is the key in --keys, so the URL needs no user")
	}
	keys, err := filepath.Abs(a.keys)
	if err != nil {
		return usage("cannot name the folder of the keys: %w", err)
	}
	if key := filepath.Join(keys, messages.RoleCLI+".nk"); !exists(key) {
		return usage("--keys must be the folder with this person's keys: there is no %s", key)
	}
	c, path, err := a.contexts()
	if err != nil {
		return err
	}
	c.Named[name] = statefile.Context{Bus: a.bus, Keys: keys}
	if err := c.Write(path); err != nil {
		return err
	}
	a.ui.Result(fmt.Sprintf("Added the context %s\nWork with it: microbosh context use %s", name, name), contextRow{Name: name, Current: name == c.Current, Bus: a.bus, Keys: keys})
	return nil
}

func (a *app) useContext(name string) error {
	c, path, err := a.contexts()
	if err != nil {
		return err
	}
	chosen, ok := c.Named[name]
	switch {
	case name == localContext:
		c.Current = ""
	case !ok:
		return noContext(name)
	default:
		c.Current = name
	}
	if err := c.Write(path); err != nil {
		return err
	}
	a.ui.Result("Commands work with the context "+name, contextRow{name, true, chosen.Bus, chosen.Keys})
	return nil
}

func (a *app) removeContext(name string) error {
	c, path, err := a.contexts()
	if err != nil {
		return err
	}
	if _, ok := c.Named[name]; !ok {
		return noContext(name)
	}
	delete(c.Named, name)
	text := "Removed the context " + name
	if c.Current == name {
		c.Current = ""
		text += "; commands work with the context " + localContext
	}
	if err := c.Write(path); err != nil {
		return err
	}
	a.ui.Result(text, contextRow{Name: name})
	return nil
}

func noContext(name string) error {
	return messages.Errorf(messages.CodeUsage, "there is no context %q", name).WithHint("`microbosh context list` lists them")
}

func (a *app) completeContext(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective) {
	c, _, err := a.contexts()
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	return append(slices.Sorted(maps.Keys(c.Named)), localContext), cobra.ShellCompDirectiveNoFileComp
}

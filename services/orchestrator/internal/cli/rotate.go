package cli

import (
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/microbosh/microbosh/pkg/bus"
	"github.com/microbosh/microbosh/pkg/messages"
	"github.com/microbosh/microbosh/services/orchestrator/internal/plane"
)

const rotateLong = `Replace keys and certificates while everything runs.

  ROLE    a role's nkey, curve key and certificate; of the registry also its
          second identity and the credential of its HTTP API
  tls     every certificate
  ca      what signs them, in two steps: each says what has to be done before
          the next
  issuer  what signs the logins of agents
  director, hm
          a certificate for BOSH's own Director, or its health monitor, which may
          then talk to agents on this bus
  old     remove the curve keys and authorities of before that nothing names any
          more, and say why others are kept; asks the bus with the admin's key

What was there before stays good. A rotation that was killed has lost nothing:
the same command again finishes it. Without an argument: what ends soon.`

func (a *app) rotateCommand() *cobra.Command {
	var dir string
	var force bool
	cmd := &cobra.Command{
		Use:   "rotate [ROLE|tls|ca|issuer|director|hm|old]",
		Short: "replace keys and certificates, remove old ones; without an argument tell what ends soon",
		Long:  rotateLong,
		Args:  usageArgs(cobra.MaximumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			p, err := plane.Open(dir)
			if err != nil {
				return err
			}
			what := strings.Join(args, "")
			switch {
			case force && what != old:
				return usage("--force goes with `rotate old`")
			case what == old:
				return a.forget(cmd, p, force)
			case what == "":
				return a.expiring(p)
			}
			done, err := p.Rotate(what)
			if err != nil {
				return err
			}
			a.ui.Result(done.What+"\n"+done.Next, map[string]string{"rotated": what, "done": done.What, "next": done.Next})
			return nil
		},
	}
	cmd.Flags().StringVar(&dir, "dir", ".microbosh", "the control plane's folder, or the state folder of an embedded bus")
	cmd.Flags().BoolVar(&force, "force", false, "with old: remove what is still named, too, because it was stolen; what is sealed to it is lost")
	return cmd
}

const old = "old"

// forget looks on the bus for what names old keys, and removes the others.
func (a *app) forget(cmd *cobra.Command, p *plane.Plane, force bool) error {
	ctx, stop := interruptible(cmd)
	defer stop()
	url, err := a.bus, error(nil)
	if url == "" {
		if url, err = p.Bus(); err != nil {
			return err
		}
	}
	conn, err := bus.Connect(ctx, bus.Options{
		URL: url, Name: "microbosh rotate", Wait: a.wait, SeedFile: filepath.Join(p.Keys(messages.RoleAdmin), messages.RoleAdmin+".nk"),
		InboxPrefix: messages.InboxPrefix(messages.RoleAdmin),
	})
	if err != nil {
		return interruptedOr(ctx, err)
	}
	defer conn.Close()
	all, err := p.Forget(ctx, conn, force)
	if err != nil {
		return interruptedOr(ctx, err)
	}
	text := "Nothing is old."
	if len(all) > 0 {
		text = ""
	}
	for _, one := range all {
		if one.Kept == "" {
			text += "Removed the " + one.Name + "\n"
		} else {
			text += "Kept the " + one.Name + ": " + one.Kept + "\n"
		}
	}
	if slices.ContainsFunc(all, func(o plane.Old) bool { return o.Kept == "" }) {
		text += "Remove it from the copies of the folders, too, and have the bus read its configuration again."
	}
	a.ui.Result(strings.TrimSuffix(text, "\n"), map[string]any{"old": all})
	return nil
}

func (a *app) expiring(p *plane.Plane) error {
	list, err := p.Expiring()
	if err != nil {
		return err
	}
	type line struct {
		Path  string    `json:"path"`
		Name  string    `json:"name"`
		After time.Time `json:"ends"`
	}
	lines := []line{}
	text := "Nothing ends soon."
	if len(list) > 0 {
		text = ""
	}
	for _, e := range list {
		text += e.Warning(time.Now()).Message + "\n"
		lines = append(lines, line{e.Path, e.Name, e.After})
	}
	a.ui.Result(strings.TrimSuffix(text, "\n"), lines)
	return nil
}

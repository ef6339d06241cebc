package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/microbosh/microbosh/pkg/manifest"
	"github.com/microbosh/microbosh/pkg/messages"
	"github.com/microbosh/microbosh/services/orchestrator/internal/journal"
	"github.com/microbosh/microbosh/services/orchestrator/internal/statefile"
	"github.com/microbosh/microbosh/services/orchestrator/internal/ui"
	"github.com/microbosh/microbosh/services/orchestrator/internal/workflow"
)

func (a *app) stateCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "state",
		Short: "show, import or rebuild what is known of the deployment",
		Args:  usageArgs(cobra.NoArgs),
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(a.stateShowCommand(), a.stateImportCommand(), a.stateRebuildCommand())
	return cmd
}

func (a *app) stateShowCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "show",
		Short: "show all that the journal knows, and whether the state file agrees",
		Args:  usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, stop := interruptible(cmd)
			defer stop()
			return a.stateShow(ctx)
		},
	}
}

// stateReply is what `state show --json` prints.
type stateReply struct {
	State messages.Snapshot `json:"state"`
	Seq   uint64            `json:"seq"`  // of the journal's last fact
	File  string            `json:"file"` // the state file
	Agree bool              `json:"agree"`
}

func (a *app) stateShow(ctx context.Context) error {
	d, err := a.loadName("Please choose deployment first")
	if err != nil {
		return err
	}
	reply := stateReply{State: messages.Snapshot{Deployment: d.manifest.Name}, File: statefile.ProjectionPath(d.choice.Deployment)}
	if a.bus != "" || exists(folder(d.choice.Deployment)) {
		s, err := a.open(ctx, folder(d.choice.Deployment), true)
		if err != nil {
			return err
		}
		defer s.close()
		log, err := journal.New(s.conn, "").Load(ctx, d.manifest.Name)
		if err != nil {
			return interruptedOr(ctx, err)
		}
		reply.State, reply.Seq = log.State.Snapshot, log.Seq
	}
	if reply.Agree, err = statefile.Agrees(d.choice.Deployment, reply.State); err != nil {
		a.ui.Say("microbosh: %v", err)
	}
	a.ui.Result(stateText(reply), reply)
	return nil
}

func stateText(r stateReply) string {
	s := r.State
	rows := [][]string{{"Deployment", s.Deployment}, {"Uid", orNothing(s.UID)}, {"Micro BOSH CID", orNothing(s.InstanceUUID)}}
	add := func(what, cid, detail string) {
		rows = append(rows, []string{what, strings.TrimSpace(cid + "  " + detail)})
	}
	if c := s.Stemcell; c != nil {
		add("Stemcell", c.CID, stemcellDetail(*c))
	}
	for _, c := range s.OldStemcells {
		add("Old stemcell", c.CID, stemcellDetail(c))
	}
	if vm := s.VM; vm != nil {
		add("VM", vm.CID, ui.Printable(fmt.Sprintf("%s, agent %s, address %s, made by %s", vm.Name, orNothing(vm.AgentID), orNothing(vm.IP), vm.Step)))
	}
	disks := []*messages.Disk{s.Disk, s.NewDisk, s.OldDisk}
	for i, what := range []string{"Disk", "New disk", "Old disk"} {
		if disk := disks[i]; disk != nil {
			add(what, disk.CID, fmt.Sprintf("%d MiB, attached to %s, made by %s", disk.SizeMiB, orNothing(disk.AttachedTo), disk.Step))
		}
	}
	rows = append(rows, []string{"Manifest", orNothing(s.ConfigSHA1)}, []string{"Stemcell sha1", orNothing(s.StemcellSHA1)})
	for id := range s.Open {
		add("Open step", id, "nobody knows yet what came of it")
	}
	if text := runText(workflow.State{Snapshot: s}); text != "" {
		rows = append(rows, []string{"Runs", text})
	}
	file := r.File + ": agrees with the journal"
	if !r.Agree {
		file = r.File + ": differs from the journal; `microbosh state rebuild` writes it anew"
	}
	rows = append(rows, []string{"State file", file})
	var b strings.Builder
	for _, row := range rows {
		fmt.Fprintf(&b, "%-15s %s\n", row[0], row[1])
	}
	return b.String()
}

func stemcellDetail(c messages.Stemcell) string {
	text := ui.Printable(strings.TrimSpace(c.Name + " " + c.Version))
	if !c.Uploaded {
		text += " (was there before: it is never deleted)"
	}
	return text
}

func orNothing(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// takeOver has the orchestrator import what there is, and shows how it goes.
func (a *app) takeOver(ctx context.Context, s *session, d chosen, what messages.Import) error {
	name := d.manifest.Name
	w, err := openWatch(ctx, s, name)
	if err != nil {
		return interruptedOr(ctx, err)
	}
	defer w.stop()
	x, err := lookWith(ctx, s, d)
	if err != nil {
		return interruptedOr(ctx, err)
	}
	command, err := importRequest(s, d, x, what)
	if err != nil {
		return err
	}
	var t ticket
	if x.open() && x.command.Verb == messages.VerbImport {
		t = a.attach(x.ticket)
	} else {
		uid, err := newcomer(statefile.NewIdentities(folder(d.choice.Deployment)), name, x)
		if err != nil {
			return err
		}
		if t, err = a.submit(ctx, s, request{deployment: name, uid: uid, command: command}); err != nil {
			return interruptedOr(ctx, err)
		}
	}
	done, err := a.attend(ctx, s, d, w, t, false)
	if err != nil {
		return err
	}
	if err := a.outcome(*done, w.state.Snapshot, ""); err != nil {
		return err
	}
	a.ui.Result(fmt.Sprintf("Imported `%s'; `microbosh plan STEMCELL' shows what a deploy would do to it", name), result{
		Deployment: name, Run: t.run, Verb: t.verb, Outcome: done.Outcome, Millis: done.Millis,
	})
	return nil
}

// newcomer is the uid for what is taken over: never an old one, under which
// resources may bear step ids that nobody remembers.
func newcomer(ids *statefile.Identities, name string, x sight) (string, error) {
	if x.state.UID != "" { // an import that did not finish
		return identify(ids, name, x, false)
	}
	return ids.Mint(name)
}

func importRequest(s *session, d chosen, x sight, what messages.Import) (messages.Command, error) {
	c, err := plainRequest(s, d, messages.VerbImport, false)
	c.ConfigSHA1, c.Import = x.config, &what
	return c, err
}

// known refuses to take over what the journal knows already.
func known(x sight) error {
	if x.state.ConfigSHA1 == "" && (x.state.Run == nil || x.state.Run.Verb == messages.VerbImport) {
		return nil
	}
	return messages.Errorf(messages.CodeInstanceExists, "the journal knows `%s' already: there is nothing to import", x.state.Deployment).
		WithHint("`microbosh state show` prints what it knows; a damaged %s is written anew by `microbosh state rebuild`", manifest.DeploymentsFile)
}

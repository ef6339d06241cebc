package cli

import (
	"context"
	"fmt"

	"github.com/microbosh/microbosh/pkg/messages"
	"github.com/microbosh/microbosh/services/orchestrator/internal/statefile"
)

// attend follows a run to its end; nil when it is left to itself.
func (a *app) attend(ctx context.Context, s *session, d chosen, w *watch, t ticket, detach bool) (*messages.RunDone, error) {
	if detach {
		a.ui.Result(fmt.Sprintf("Requested %s of `%s' as run %s\nFollow it with: microbosh watch %s", t.verb, t.deployment, t.run, t.run), t.public())
		return nil, nil
	}
	done, err := w.follow(ctx, t, a.ui.Renderer(footer(s, t.verb)), statefile.NewProjection(d.choice.Deployment))
	if err == nil {
		return &done, a.updateTarget(d, w.state.Target)
	}
	if ctx.Err() == nil {
		return nil, err
	}
	if s.alone() {
		a.ui.Say("microbosh: stopping")
		return nil, messages.Errorf(messages.CodeInterrupted, "interrupted: the %s of `%s' is not finished", t.verb, t.deployment).
			WithHint("nothing is forgotten: the same command goes on from there; `microbosh cancel` gives it up")
	}
	return nil, messages.Errorf(messages.CodeInterrupted, "detached: the %s of `%s' goes on without this terminal", t.verb, t.deployment).
		WithHint("`microbosh watch %s` follows it again; `microbosh cancel` ends it", t.run)
}

// footer says what Ctrl-C does while a run is shown.
func footer(s *session, verb messages.Verb) string {
	if s.alone() {
		return "Ctrl-C stops between two steps; the same command goes on from there"
	}
	return fmt.Sprintf("Ctrl-C detaches; the %s goes on", verb)
}

// updateTarget remembers where the chosen deployment's Director answers.
func (a *app) updateTarget(d chosen, target *messages.Target) error {
	path, err := a.configFile()
	if err != nil || target == nil {
		return nil // nothing is chosen without a file that says so
	}
	c, err := statefile.ReadChoice(path)
	if err != nil || c.Deployment != d.choice.Deployment {
		return err
	}
	if c.Target == target.URL && c.TargetName == target.Name {
		return nil
	}
	if c.Target != target.URL {
		a.ui.Say("WARNING! Your target has been changed to `%s'!", target.URL)
	}
	c.Target, c.TargetName = target.URL, target.Name
	return c.Write(path)
}

func (t ticket) public() any {
	return struct {
		Deployment string        `json:"deployment"`
		Run        string        `json:"run"`
		Verb       messages.Verb `json:"verb"`
	}{t.deployment, t.run, t.verb}
}

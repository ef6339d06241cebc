package cpi

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/microbosh/microbosh/pkg/messages"
	"github.com/microbosh/microbosh/pkg/poll"
)

// postTimeout bounds one create request. It must end well within the default
// settle window.
const postTimeout = 60 * time.Second

// Found is a resource that carries the step's tag.
type Found struct {
	CID     string
	Created time.Time
}

// Maker makes one kind of resource.
type Maker struct {
	// Find lists everything that carries the step's tag. A failed listing is an
	// error, never an empty list.
	Find func(ctx context.Context) ([]Found, error)

	// Prepare does what must be there before the request; nil = nothing. It is
	// safe to repeat.
	Prepare func(ctx context.Context) error

	// Post sends the one request, with the step's tag inside. The code of its
	// error tells whether it may have taken effect: cloud_ambiguous.
	Post func(ctx context.Context) (cid string, err error)

	// Remove deletes a resource after verifying that it carries the step's tag;
	// an absent one is no error.
	Remove func(ctx context.Context, cid string) error

	// Undo removes what Prepare did, when nothing was made; nil = nothing.
	Undo func(ctx context.Context) error

	// Fenced says that the cloud itself refuses a second one, with
	// cloud_conflict, so a next request need not wait for the last.
	Fenced bool
}

// Create gives the one resource of this step: the one that an earlier try made,
// or a new one. It may find it in any state. In between two requests that may
// both take effect it waits for the settle window.
func (s *Step) Create(ctx context.Context, m Maker) (string, error) {
	s.maker = m
	for turn := 0; ; turn++ {
		cid, err := s.find(ctx, m)
		if cid != "" || err != nil {
			return cid, err
		}
		if (!m.Fenced || s.settling) && time.Now().Before(s.window) {
			s.Progress("looking for what an earlier request made", 0, 0)
			if err := poll.Pause(ctx, pollPause(turn, time.Until(s.window))); err != nil {
				return "", err
			}
			continue
		}
		if s.settling {
			return "", s.nothing(ctx, m, messages.Errorf(messages.CodeCloudNotFound, "%s made nothing", s.command.Method))
		}
		if m.Prepare != nil {
			if err := m.Prepare(ctx); err != nil {
				return "", s.refused(ctx, m, err)
			}
		}
		cid, err = s.post(ctx, m)
		if err != nil || cid != "" {
			return cid, err
		}
	}
}

// post sends the request once. Neither a CID nor an error means that nobody
// knows whether it took effect.
func (s *Step) post(ctx context.Context, m Maker) (string, error) {
	before, deadline := s.window, time.Now().Add(s.worker.Settle).UTC()
	err := s.entry.Write(ctx, messages.Result{
		Status: messages.ResultPosting, Attempt: s.entry.Result().Attempt + 1, Deadline: deadline,
	})
	if err != nil {
		return "", err
	}
	s.window = deadline
	once, cancel := context.WithTimeout(ctx, postTimeout)
	defer cancel()
	cid, err := m.Post(once)
	switch {
	case err == nil:
		s.made = append(s.made, cid)
		return s.find(ctx, m)
	case ctx.Err() != nil:
		return "", ctx.Err()
	case once.Err() != nil || ambiguous(err):
		s.Log.Warn().Err(err).Int("attempt", s.entry.Result().Attempt).Msg("nobody knows whether the create took effect; looking for it")
		s.window = time.Now().Add(s.worker.Settle)
		if m.Fenced {
			return "", poll.Pause(ctx, jitter(s.entry.Result().Attempt))
		}
		return "", nil
	}
	s.window = before // it surely had no effect
	if m.Fenced && messages.CodeOf(err) == messages.CodeCloudConflict && time.Now().Before(before) {
		// An earlier request made it, and it may only be hidden still.
		return "", poll.Pause(ctx, pollPause(s.entry.Result().Attempt, time.Until(before)))
	}
	return "", s.refused(ctx, m, err)
}

// find lists the step's resources and keeps one: the ledger's, else the oldest.
// A listing may not show yet what an answer named to this process, or what the
// ledger names. The others go, but only after the choice was written down: of
// two CPIs that choose at once only one may remove.
func (s *Step) find(ctx context.Context, m Maker) (string, error) {
	found, err := m.Find(ctx)
	if err != nil {
		return "", err
	}
	named, known := s.entry.Result().CID, slices.Clone(s.made)
	if named != "" && time.Now().Before(s.window) {
		known = append(known, named)
	}
	for _, cid := range known {
		if !slices.ContainsFunc(found, func(f Found) bool { return f.CID == cid }) {
			found = append(found, Found{CID: cid, Created: time.Now()})
		}
	}
	if len(found) == 0 {
		return "", nil
	}
	slices.SortFunc(found, func(a, b Found) int {
		return cmp.Or(a.Created.Compare(b.Created), cmp.Compare(a.CID, b.CID))
	})
	keep := found[0].CID
	if slices.ContainsFunc(found, func(f Found) bool { return f.CID == named }) {
		keep = named
	}
	if len(found) == 1 {
		return keep, nil
	}
	if err := s.choose(ctx, keep); err != nil {
		return "", err
	}
	for _, f := range found {
		if f.CID == keep {
			continue
		}
		s.Log.Warn().Str("cid", f.CID).Msg("a second resource of one step is removed")
		if err := m.Remove(ctx, f.CID); err != nil {
			return "", err
		}
		s.forget(f.CID)
	}
	return keep, nil
}

// refused ends a create for good, unless it may be tried again.
func (s *Step) refused(ctx context.Context, m Maker, err error) error {
	if Transient(err) || ctx.Err() != nil {
		return err
	}
	if time.Now().Before(s.window) {
		return err // an earlier request may still take effect
	}
	return s.nothing(ctx, m, err)
}

// nothing says that this step left nothing behind.
func (s *Step) nothing(ctx context.Context, m Maker, err error) error {
	if m.Undo != nil {
		if undo := m.Undo(ctx); undo != nil {
			return errors.Join(err, undo)
		}
	}
	s.clean = true
	return err
}

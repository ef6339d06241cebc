package cpi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"

	"github.com/microbosh/microbosh/pkg/messages"
	"github.com/microbosh/microbosh/pkg/poll"
	"github.com/microbosh/microbosh/services/cpi-openstack/internal/ledger"
)

// conclude works until the ledger has a result of this step. nil means that
// the command is settled.
func (s *Step) conclude(ctx context.Context) error {
	for !s.entry.Final() {
		result, err := s.try(ctx)
		if err == nil {
			err = s.entry.Write(ctx, result)
		}
		switch {
		case err == nil:
			s.report(result)
			if !result.Status.Final() {
				return nil
			}
		case errors.Is(err, ledger.ErrLost):
			if err := s.yield(ctx); err != nil {
				return err
			}
		default:
			return err
		}
	}
	return s.tidy(ctx)
}

// try runs the method until it has a result, its deadline passes, or ctx ends.
func (s *Step) try(ctx context.Context) (messages.Result, error) {
	method, known := s.worker.Methods[s.command.Method]
	work, cancel := context.WithDeadline(ctx, s.command.Deadline)
	defer cancel()
	s.clean = false
	outputs, err := s.attempt(work, method, known)
	late := work.Err() != nil
	if err != nil && late && ctx.Err() == nil && method.Creates && !errors.Is(err, ledger.ErrLost) && !s.clean {
		s.Log.Warn().Err(err).Msg("the deadline passed; taking a last look")
		look, cancel := context.WithTimeout(ctx, s.worker.Grace)
		defer cancel()
		s.settling = true
		cause := err
		if outputs, err = s.attempt(look, method, known); s.clean && !s.command.Settle {
			err = cause // of nothing being there
		}
	}
	switch {
	case err == nil:
		return s.success(outputs)
	case ctx.Err() != nil:
		return messages.Result{}, ctx.Err()
	case errors.Is(err, ledger.ErrLost):
		return messages.Result{}, err
	}
	return s.failure(err, late), nil
}

// attempt runs the method again while its errors may pass.
func (s *Step) attempt(ctx context.Context, method Method, known bool) (any, error) {
	if !known {
		return nil, messages.Errorf(messages.CodeNotSupported, "the CPI of %s knows no method %s", s.worker.Cloud, s.command.Method)
	}
	if s.secretsErr != nil {
		return nil, s.secretsErr
	}
	var last error
	var cancel cancelWatch
	for turn := 0; ; turn++ {
		if ctx.Err() != nil {
			return nil, errors.Join(ctx.Err(), last)
		}
		outputs, err := s.run(ctx, method)
		if err == nil || ctx.Err() != nil || !Transient(err) {
			return outputs, err
		}
		last = err
		if s.command.First && turn == 0 && messages.CodeOf(err) == messages.CodeCloudUnreachable {
			return nil, err
		}
		s.Log.Warn().Err(err).Int("attempt", turn+1).Msg("trying again")
		s.Progress(s.again(err, turn+1), 0, 0)
		if cancel.ctx == nil {
			cancel = s.watchCancel(ctx)
			defer cancel.close()
		}
		wait := cancel.ctx
		if s.underWay(err) {
			wait = ctx
		}
		if poll.Pause(wait, pauseAfter(err, turn)) != nil {
			if ctx.Err() == nil {
				err = messages.Errorf(messages.CodeCancelled, "cancelled while it was tried again: %w", err)
			}
			return nil, err
		}
	}
}

// run runs the method once. A defect in it ends the step, not the CPI: its
// command would come again, and end one CPI after the other.
func (s *Step) run(ctx context.Context, method Method) (outputs any, err error) {
	defer func() {
		if found := recover(); found != nil {
			s.Log.Error().Str("op", s.command.Method).Bytes("stack", debug.Stack()).Msg("a defect of the CPI ended the step")
			outputs, err = nil, messages.Errorf(messages.CodeInternal, "a defect of the CPI ended %s", s.command.Method).
				WithHint("the CPI's log shows where; report it")
		}
	}()
	return method.Run(ctx, s)
}

func (s *Step) success(outputs any) (messages.Result, error) {
	raw, err := json.Marshal(outputs)
	if err != nil {
		return messages.Result{}, fmt.Errorf("cannot encode the outputs of %s: %w", s.command.Method, err)
	}
	var named struct {
		CID string `json:"cid"`
	}
	if outputs == nil {
		raw = nil
	} else if err := json.Unmarshal(raw, &named); err != nil {
		named.CID = ""
	}
	if len(s.secrets.Args) > 0 && outputs != nil { // what came sealed does not go back in the open
		if raw, _, err = messages.Part(raw); err != nil {
			return messages.Result{}, fmt.Errorf("cannot write the outputs of %s: %w", s.command.Method, err)
		}
	}
	return messages.Result{
		Status: messages.ResultDone, Attempt: s.entry.Result().Attempt, CID: named.CID, Outputs: raw,
	}, nil
}

// failure is final unless something may be in the cloud that nobody removed.
func (s *Step) failure(err error, late bool) messages.Result {
	said := messages.AsError(err)
	if late && (said.Code == messages.CodeInternal || Transient(err)) {
		said = messages.Errorf(messages.CodeDeadline, "%s was not done by its deadline: %w", s.command.Method, err).
			WithHint("see that the cloud answers, then run the same command again")
	}
	before := s.entry.Result()
	result := messages.Result{Status: messages.ResultFailed, Attempt: before.Attempt, Error: said}
	if s.open() && !s.clean {
		result.Status, result.CID, result.Deadline = messages.ResultUnsettled, before.CID, s.window.UTC()
	}
	return result
}

func (s *Step) report(r messages.Result) {
	log := s.Log.With().Str("op", s.command.Method).Str("cid", r.CID).Str("status", string(r.Status)).Logger()
	if r.Error != nil {
		log.Warn().Str("code", string(r.Error.Code)).Str("err", r.Error.Message).Msg("step ended")
		return
	}
	log.Info().Msg("step ended")
}

// yield waits a little for the CPI that won the entry, which has the last word
// when it lives. Then this one goes on from what is written there.
func (s *Step) yield(ctx context.Context) error {
	wait, cancel := context.WithTimeout(ctx, messages.AckWait)
	defer cancel()
	var failed error
	err := Await(wait, messages.AckWait/10, func(ctx context.Context) (bool, error) {
		failed = s.entry.Reload(ctx)
		return failed == nil && s.entry.Final(), failed
	})
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil && wait.Err() == nil {
		return err
	}
	s.remember()
	return nil
}

// tidy removes what this process made and the final entry does not name.
func (s *Step) tidy(ctx context.Context) error {
	for _, cid := range slices.Compact(s.made) {
		if cid == s.entry.Result().CID || s.maker.Remove == nil {
			continue
		}
		s.Log.Warn().Str("cid", cid).Msg("another CPI ended this step; what was made here is removed")
		if err := s.maker.Remove(ctx, cid); err != nil {
			return fmt.Errorf("cannot remove %s, which lost against %s: %w", cid, s.entry.Result().CID, err)
		}
	}
	return nil
}

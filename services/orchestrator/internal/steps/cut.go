package steps

import (
	"context"
	"errors"
)

// ErrCut says that a step ended because the run was cancelled, while it waited
// and had nothing under way.
var ErrCut = errors.New("the run was cancelled while the step waited")

// waiting carries out what changes nothing: a cancel ends it at once.
func (c Call) waiting(ctx context.Context, wait func(context.Context) error) error {
	if c.Cut == nil {
		return wait(ctx)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(c.Cut, func() { cancel(ErrCut) })()
	err := wait(ctx)
	if err != nil && errors.Is(context.Cause(ctx), ErrCut) {
		return ErrCut
	}
	return err
}

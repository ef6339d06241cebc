package settings

import (
	"context"
	"sync"
)

// maxRounds is how many rounds of a fence may be under way: more than one, so
// that whoever comes does not wait for a round that began too early for it.
const maxRounds = 2

// fence runs step so that each caller of pass returns after a step that began
// after the call. Callers that come while none may begin share the next.
type fence struct {
	step  func(context.Context) error
	slots chan struct{} // held by whoever runs step

	mu   sync.Mutex
	next *round // guarded by mu; not begun yet
}

// round is one run of step.
type round struct {
	done chan struct{}
	err  error // once done is closed
}

func newFence(step func(context.Context) error) *fence {
	return &fence{step: step, slots: make(chan struct{}, maxRounds)}
}

// pass returns once a step that began after the call has ended, with its error.
func (f *fence) pass(ctx context.Context) error {
	mine := f.join()
	select {
	case <-mine.done:
		return mine.err
	case f.slots <- struct{}{}:
		if f.begin(mine) {
			// Others wait for this step too: it goes on when this caller leaves.
			mine.err = f.step(context.WithoutCancel(ctx))
			close(mine.done)
		}
		<-f.slots
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	select {
	case <-mine.done:
		return mine.err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (f *fence) join() *round {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.next == nil {
		f.next = &round{done: make(chan struct{})}
	}
	return f.next
}

// begin tells whether the caller is the one to run r.
func (f *fence) begin(r *round) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.next != r {
		return false
	}
	f.next = nil
	return true
}

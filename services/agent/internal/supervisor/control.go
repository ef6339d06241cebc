package supervisor

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"sort"
	"syscall"
)

// lock waits until Run has begun and nothing else is changing.
func (b *Builtin) lock(ctx context.Context) (unlock func(), err error) {
	select {
	case <-b.begun:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	b.change.Lock()
	return b.change.Unlock, nil
}

// Reload reads the monit files again. A new service waits for Start, one that
// is gone is forgotten, a process of either is left alone.
func (b *Builtin) Reload(ctx context.Context) error {
	unlock, err := b.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	services, err := b.read()
	if err != nil {
		return err
	}
	fresh := map[string]service{}
	for _, s := range services {
		fresh[s.Name] = s
	}
	for name, u := range b.snapshot() {
		s, stays := fresh[name]
		if stays && reflect.DeepEqual(s, u.service) {
			continue
		}
		b.release(u)
		b.mu.Lock()
		if stays {
			u.service = s
			if u.wanted {
				b.keep(u, nil)
			}
		} else {
			delete(b.units, name)
		}
		b.mu.Unlock()
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for name, s := range fresh {
		if _, ok := b.units[name]; !ok {
			b.units[name] = &unit{service: s, state: Stopped}
		}
	}
	b.tell()
	return b.save()
}

// Start starts every process in the order of their dependencies and returns
// when all live, or with what did not start; that is tried on.
func (b *Builtin) Start(ctx context.Context) error {
	unlock, err := b.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	b.mu.Lock()
	b.stopped = false
	for _, u := range b.units {
		u.wanted = true
		if u.state == Stopped {
			u.state = Starting
		}
	}
	err = b.save()
	b.tell()
	b.mu.Unlock()
	if err != nil {
		return err
	}
	var failed []error
	for _, u := range b.ordered() {
		b.mu.Lock()
		runs := u.state == Running && u.done != nil
		b.mu.Unlock()
		if runs {
			continue
		}
		b.release(u)
		first := make(chan error, 1)
		b.mu.Lock()
		b.keep(u, first)
		b.mu.Unlock()
		select {
		case err := <-first:
			if err != nil {
				failed = append(failed, fmt.Errorf("process %s: %w", u.Name, err))
			}
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return errors.Join(failed...)
}

// Stop stops every process, dependents first, and returns when all are gone.
func (b *Builtin) Stop(ctx context.Context) error {
	unlock, err := b.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	if err := b.unwant(); err != nil {
		return err
	}
	var failed []error
	units := b.ordered()
	for i := len(units) - 1; i >= 0; i-- {
		u := units[i]
		b.release(u)
		err := b.end(ctx, u)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		b.mu.Lock()
		if err != nil {
			failed = append(failed, fmt.Errorf("process %s: %w", u.Name, err))
			b.set(u, unmonitored)
		} else {
			b.set(u, Stopped)
		}
		b.mu.Unlock()
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.tell()
	return errors.Join(failed...)
}

// unwant records that nothing should run any more.
func (b *Builtin) unwant() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.stopped = true
	for _, u := range b.units {
		u.wanted = false
		if u.state != Stopped {
			u.state = stopping
		}
	}
	return b.save()
}

// end runs the stop program and waits for the process's end.
func (b *Builtin) end(ctx context.Context, u *unit) error {
	p := b.lookFor(u)
	if p == nil {
		return nil
	}
	defer p.close()
	limit := u.Stop.Timeout
	if len(u.Stop.Args) == 0 {
		limit = defaultTimeout
	}
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("process %d is still there after %s", p.pid, limit))
	defer cancel()
	if len(u.Stop.Args) == 0 {
		if err := syscall.Kill(p.pid, syscall.SIGTERM); err != nil && !errors.Is(err, syscall.ESRCH) {
			return fmt.Errorf("cannot end process %d: %w", p.pid, err)
		}
		return p.wait(ctx)
	}
	exit, err := b.execute(u.Name, u.Stop)
	if err != nil {
		return err
	}
	if err := p.wait(ctx); err != nil {
		return err
	}
	select { // the program may still tidy up
	case err := <-exit:
		if err != nil {
			b.o.Log.Warn().AnErr("err", err).Str("service", u.Name).Msg("the stop program failed though the process ended")
		}
	case <-ctx.Done():
		b.o.Log.Warn().Str("service", u.Name).Msg("the stop program goes on though the process ended")
	}
	return nil
}

// Unmonitor leaves the processes alone, as drain scripts may end them.
func (b *Builtin) Unmonitor(ctx context.Context) error {
	unlock, err := b.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	for _, u := range b.snapshot() {
		b.release(u)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, u := range b.units {
		u.wanted = false
		if u.state != Stopped {
			u.state = unmonitored
		}
	}
	b.tell()
	return b.save()
}

func (b *Builtin) snapshot() map[string]*unit {
	b.mu.Lock()
	defer b.mu.Unlock()
	all := make(map[string]*unit, len(b.units))
	for name, u := range b.units {
		all[name] = u
	}
	return all
}

// ordered lists what others depend on before them, else by name. A circle is
// cut where it is met.
func (b *Builtin) ordered() []*unit {
	units := b.snapshot()
	names := make([]string, 0, len(units))
	for name := range units {
		names = append(names, name)
	}
	sort.Strings(names)
	var all []*unit
	seen := map[string]bool{}
	var visit func(string)
	visit = func(name string) {
		u, ok := units[name]
		if !ok || seen[name] {
			return
		}
		seen[name] = true
		for _, other := range u.Depends {
			visit(other)
		}
		all = append(all, u)
	}
	for _, name := range names {
		visit(name)
	}
	return all
}

package bootstrap

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/rs/zerolog"

	"github.com/microbosh/microbosh/pkg/messages"
	"github.com/microbosh/microbosh/services/agent/internal/home"
)

// Source is a place that settings come from.
type Source interface {
	Name() string
	Fetch(ctx context.Context) (Found, error)
}

// Found is what a source gave.
type Found struct {
	Source   string
	Settings messages.Settings
	Keys     []string // SSH public keys
	raw      []byte
}

// LoaderOptions of a Loader.
type LoaderOptions struct {
	Home     home.Dir
	Sources  []Source      // the first that answers wins
	Patience time.Duration // how long Boot asks again, default 10 s; a third of it beside a cached copy
	Log      zerolog.Logger
}

// Loader loads settings and keeps the last ones in <base>/bosh/settings.json.
type Loader struct {
	o LoaderOptions
}

// NewLoader makes a Loader.
func NewLoader(o LoaderOptions) *Loader {
	if o.Patience == 0 {
		o.Patience = 10 * time.Second
	}
	return &Loader{o: o}
}

func (l *Loader) cache() string { return l.o.Home.Bosh("settings.json") }

// Boot loads settings when the network may still be coming up: it asks again
// for a while, then takes the cached copy.
func (l *Loader) Boot(ctx context.Context) (Found, error) {
	patience := l.o.Patience
	if _, err := os.Stat(l.cache()); err == nil {
		patience /= 3
	}
	deadline := time.Now().Add(patience)
	const shortest, longest = 50 * time.Millisecond, time.Second
	for pause := shortest; ; pause = min(2*pause, longest) {
		found, err := l.fetch(ctx)
		if err == nil {
			return found, nil
		}
		var final permanent
		if errors.As(err, &final) || time.Now().Add(pause).After(deadline) {
			return l.cached(err)
		}
		l.o.Log.Debug().AnErr("err", err).Msg("no settings yet")
		retry := time.NewTimer(pause)
		select {
		case <-retry.C:
		case <-ctx.Done():
			retry.Stop()
			return Found{}, context.Cause(ctx)
		}
	}
}

// Settings loads them once, for an action: a source that does not answer leaves
// the cached copy.
func (l *Loader) Settings(ctx context.Context) (messages.Settings, error) {
	const limit = 10 * time.Second
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	found, err := l.fetch(ctx)
	if err != nil {
		found, err = l.cached(err)
	}
	return found.Settings, err
}

func (l *Loader) fetch(ctx context.Context) (Found, error) {
	var errs []error
	all := len(l.o.Sources) > 0
	for _, source := range l.o.Sources {
		found, err := source.Fetch(ctx)
		if err != nil {
			var final permanent
			all = all && errors.As(err, &final)
			errs = append(errs, fmt.Errorf("%s: %w", source.Name(), err))
			continue
		}
		found.Source = source.Name()
		return found, l.keep(found)
	}
	err := errors.Join(errs...)
	if len(l.o.Sources) == 0 {
		err = permanent{errors.New("no source of settings is configured")}
	} else if !all {
		err = temporary{err}
	}
	return Found{}, err
}

// keep writes the cached copy when it differs.
func (l *Loader) keep(found Found) error {
	if now, err := home.ReadFile(l.cache()); err == nil && bytes.Equal(now, found.raw) {
		return nil
	}
	return home.WriteFile(l.cache(), found.raw, 0o600)
}

func (l *Loader) cached(cause error) (Found, error) {
	data, err := home.ReadFile(l.cache())
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			cause = errors.Join(cause, err)
		}
		return Found{}, fmt.Errorf("could neither load infrastructure settings nor cached settings from: %s: %w", l.cache(), cause)
	}
	found, err := parseSettings(data)
	if err != nil {
		return Found{}, fmt.Errorf("cannot read the cached settings %s: %w", l.cache(), err)
	}
	found.Source = "cached copy"
	l.o.Log.Info().AnErr("err", cause).Msg("settings are those of the cached copy")
	return found, nil
}

// parseSettings reads a settings document.
func parseSettings(data []byte) (Found, error) {
	found := Found{raw: data}
	if err := json.Unmarshal(data, &found.Settings); err != nil {
		return Found{}, fmt.Errorf("cannot parse the settings: %w", err)
	}
	return found, nil
}

// permanent marks what asking again does not heal.
type permanent struct{ error }

func (p permanent) Unwrap() error { return p.error }

// temporary hides that one of several causes is permanent.
type temporary struct{ cause error }

func (t temporary) Error() string { return t.cause.Error() }

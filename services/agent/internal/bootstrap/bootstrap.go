package bootstrap

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/rs/zerolog"

	"github.com/microbosh/microbosh/pkg/messages"
	"github.com/microbosh/microbosh/services/agent/internal/home"
	"github.com/microbosh/microbosh/services/agent/internal/platform"
)

// Options of a bootstrap.
type Options struct {
	Home      home.Dir
	Configure bool           // the whole list of steps, not the short one
	Loader    *Loader        // where settings come from
	Platform  platform.Host  // what the machine is
	Disks     PersistentDisk // what mounts the disk at boot
	Alerts    bool           // monit's alerts are wanted

	DefaultAgentID   string // used when the settings have none
	DefaultMbus      string // likewise
	DefaultBlobstore messages.Blobstore

	Log zerolog.Logger
}

// PersistentDisk mounts the disk that a VM boots with.
type PersistentDisk interface {
	AtBoot(ctx context.Context, settings messages.Settings) (cid string, err error)
}

// State is what the steps found out.
type State struct {
	Settings  messages.Settings
	AgentID   string
	Mbus      Mbus
	Blobstore messages.Blobstore
}

// Mbus is where and how the agent is spoken to.
type Mbus struct {
	URLs []string
	Cert Cert
}

// Cert is a PEM key pair and its CA.
type Cert struct {
	CA          string `json:"ca"`
	Certificate string `json:"certificate"`
	PrivateKey  string `json:"private_key"`
}

// boot is one run of the steps.
type boot struct {
	Options
	State
	env  Env
	keys []string
}

// Env is the part of settings.env that the agent reads.
type Env struct {
	Bosh struct {
		Password       string          `json:"password"`
		KeepRoot       bool            `json:"keep_root_password"`
		AuthorizedKeys []string        `json:"authorized_keys"`
		Credentials    json.RawMessage `json:"credentials"`
		NTP            []string        `json:"ntp"`
		Mbus           struct {
			URLs []string `json:"urls"`
			Cert Cert     `json:"cert"`
		} `json:"mbus"`
		Blobstores []messages.Blobstore `json:"blobstores"`
	} `json:"bosh"`
}

// Run runs the steps and returns what they found. A failed step ends it.
func Run(ctx context.Context, o Options) (State, error) {
	if o.Loader == nil || o.Platform == nil || o.Disks == nil {
		return State{}, errors.New("cannot bootstrap: loader, platform and disks are needed")
	}
	if err := home.MkdirAll(o.Home.Bosh()); err != nil {
		return State{}, err
	}
	b := &boot{Options: o}
	steps := Steps()
	if !o.Configure {
		o.Log.Info().Msg("the short bootstrap runs: without -c the machine is not configured")
	}
	begin := time.Now()
	for _, step := range steps {
		if !o.Configure && !step.Short {
			continue
		}
		start := time.Now()
		if err := step.run(ctx, b); err != nil {
			return State{}, step.failed(err)
		}
		o.Log.Info().Str("step", step.Name).Dur("dur", time.Since(start)).Msg("bootstrap step done")
	}
	o.Log.Info().Str("agent", b.AgentID).Bool("configure", o.Configure).Dur("dur", time.Since(begin)).Msg("bootstrap done")
	return b.State, nil
}

package agent

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"

	"github.com/rs/zerolog"

	"github.com/microbosh/microbosh/services/agent/internal/alert"
	"github.com/microbosh/microbosh/services/agent/internal/bootstrap"
	"github.com/microbosh/microbosh/services/agent/internal/home"
	"github.com/microbosh/microbosh/services/agent/internal/mbus"
	"github.com/microbosh/microbosh/services/agent/internal/supervisor"
)

// monitPort and loginPort are BOSH's. Below another root folder than / there
// may be several VMs on one machine, which take free ports.
const (
	monitPort = 2822
	loginPort = 33331
)

// newSupervisor makes the one that -M names, and what listens for alerts beside
// it.
func newSupervisor(ctx context.Context, c Config, dir home.Dir, voice *voice, log zerolog.Logger) (supervisor.Supervisor, []func(context.Context) error, error) {
	var beside []func(context.Context) error
	listener := newHealth(dir, voice, log)
	own := dir.Root() == "/" // the machine is this VM's alone
	if own && c.Alerts {
		logins, err := alert.ListenForLogins(ctx, loginPort, voice.loggedIn)
		if err != nil {
			log.Warn().AnErr("err", err).Msg("logins are not told")
		} else {
			beside = append(beside, logins.Run)
		}
	}
	if c.Supervisor != "monit" {
		if c.Supervisor != "builtin" {
			log.Warn().Str("asked", c.Supervisor).Msg("the builtin supervisor runs the jobs, from the same monit files")
		}
		jobs, err := supervisor.NewBuiltin(supervisor.Options{Home: dir, Listener: listener, Log: log})
		if err != nil {
			return nil, nil, err
		}
		listener.note(jobs.Status().JobState)
		return jobs, beside, nil
	}
	o := supervisor.MonitOptions{Home: dir, Listener: listener, Log: log}
	port := 0
	if own {
		o.Port, port = monitPort, c.SMTPPort
	}
	if c.Alerts {
		var secret [16]byte
		_, _ = rand.Read(secret[:]) // never fails: the runtime ends the program first
		o.Mail = supervisor.Mail{User: "vcap", Password: hex.EncodeToString(secret[:])}
		receiver, err := alert.Listen(ctx, port, o.Mail.User, o.Mail.Password, voice.mailed, log)
		if err != nil {
			return nil, nil, err
		}
		o.Mail.Port = receiver.Port()
		beside = append(beside, receiver.Run)
	}
	jobs, err := supervisor.NewMonit(o)
	if err != nil {
		return nil, nil, err
	}
	listener.note(supervisor.Stopped) // monit is not up yet
	return jobs, beside, nil
}

// newCrypt reads env.bosh.credentials; without them it is nil.
func newCrypt(boot bootstrap.State) (*mbus.Crypt, error) {
	var env struct {
		Bosh struct {
			Credentials *mbus.Credentials `json:"credentials"`
		} `json:"bosh"`
	}
	if len(boot.Settings.Env) > 0 {
		if err := json.Unmarshal(boot.Settings.Env, &env); err != nil {
			return nil, fmt.Errorf("cannot read env of the settings: %w", err)
		}
	}
	if env.Bosh.Credentials == nil {
		return nil, nil
	}
	return mbus.NewCrypt(*env.Bosh.Credentials, boot.AgentID)
}

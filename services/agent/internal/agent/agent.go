package agent

import (
	"context"
	"net"
	"strings"
	"sync/atomic"

	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"

	"github.com/microbosh/microbosh/pkg/bus"
	"github.com/microbosh/microbosh/pkg/poll"
	"github.com/microbosh/microbosh/services/agent/internal/action"
	"github.com/microbosh/microbosh/services/agent/internal/blobstore"
	"github.com/microbosh/microbosh/services/agent/internal/bootstrap"
	"github.com/microbosh/microbosh/services/agent/internal/disk"
	"github.com/microbosh/microbosh/services/agent/internal/home"
	"github.com/microbosh/microbosh/services/agent/internal/jobset"
	"github.com/microbosh/microbosh/services/agent/internal/mbus"
	"github.com/microbosh/microbosh/services/agent/internal/task"
	"github.com/microbosh/microbosh/services/agent/internal/vitals"
)

// Run is the agent's whole life. It ends when ctx does or the action shutdown
// asks for it; an error means that it must be started again.
func Run(ctx context.Context, c Config, log zerolog.Logger) error {
	for {
		again, err := run(ctx, c, log)
		if !again || ctx.Err() != nil || err != nil {
			return err
		}
		log.Info().Msg("the agent starts anew")
	}
}

// run is one life; an action may ask for another one.
func run(ctx context.Context, c Config, log zerolog.Logger) (again bool, err error) {
	ctx, quit := context.WithCancel(ctx)
	defer quit()
	var restart atomic.Bool
	dir, err := home.New(c.Base, c.Root)
	if err != nil {
		return false, err
	}
	machine, err := newMachine(c, dir, log)
	if err != nil {
		return false, err
	}
	sources, err := bootstrap.Sources(bootstrap.SourcesOptions{
		Home: dir, Infrastructure: c.Infrastructure, Metadata: c.Metadata, ConfigFile: c.ConfigFile, Media: machine, Log: log,
	})
	if err != nil {
		return false, err
	}
	loader := bootstrap.NewLoader(bootstrap.LoaderOptions{Home: dir, Sources: sources, Log: log})
	disks := disk.New(disk.Options{Home: dir, Platform: machine, Settings: loader.Settings})
	boot, err := bootstrap.Run(ctx, bootstrap.Options{
		Home: dir, Configure: c.Configure, Loader: loader, Platform: machine, Disks: disks, Alerts: c.Alerts,
		DefaultAgentID: c.AgentID, DefaultMbus: c.Mbus, DefaultBlobstore: c.Blobstore, Log: log,
	})
	if err != nil {
		return false, err
	}
	log = log.With().Str("agent", boot.AgentID).Logger()
	undone, err := jobset.Recover(dir)
	if err != nil {
		return false, err
	}
	if undone {
		log.Info().Msg("an interrupted apply is undone: the jobs are those of the spec before")
	}
	blobs, err := blobstore.New(boot.Blobstore, dir)
	if err != nil {
		return false, err
	}
	tasks, err := task.New(task.Options{Dir: dir.Bosh("tasks"), Log: log})
	if err != nil {
		return false, err
	}
	voice := newVoice(boot.AgentID, c, log)
	jobs, beside, err := newSupervisor(ctx, c, dir, voice, log)
	if err != nil {
		return false, err
	}
	crypt, err := newCrypt(boot)
	if err != nil {
		return false, err
	}
	actions, err := action.New(action.Options{
		Home: dir, AgentID: boot.AgentID, Tasks: tasks, Disks: disks, Machine: machine, Blobs: blobs,
		Vitals: vitals.New("", machine.Usage), Supervisor: jobs, Settings: loader.Settings, Boot: boot.Settings,
		Goodbye: voice.goodbye, Quit: quit,
		Restart: func() { restart.Store(true); quit() }, Served: served(machine, dir), Log: log,
	})
	if err != nil {
		return false, err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return jobs.Run(ctx) })
	for _, run := range beside {
		group.Go(func() error { return run(ctx) })
	}
	group.Go(func() error { return tasks.Run(ctx) })
	group.Go(func() error { return serve(ctx, c, boot, crypt, actions, blobs, voice, log) })
	err = group.Wait()
	return restart.Load(), err
}

// serve listens on the mbus that the settings name.
func serve(ctx context.Context, c Config, boot bootstrap.State, crypt *mbus.Crypt, actions *action.Dispatcher, blobs *blobstore.Blobs, voice *voice, log zerolog.Logger) error {
	ready := func() {
		if c.Ready == nil {
			return
		}
		if err := c.Ready(); err != nil {
			log.Warn().AnErr("err", err).Msg("readiness could not be told")
		}
	}
	if strings.HasPrefix(boot.Mbus.URLs[0], "https:") {
		certificate, err := certificate(boot.Mbus)
		if err != nil {
			return err
		}
		at, err := listenURL(ctx, c, boot.Mbus.URLs[0], log)
		if err != nil {
			return err
		}
		server, err := mbus.NewHTTPS(mbus.HTTPSOptions{
			URL: at, Certificate: certificate, Dispatcher: actions, Blobs: blobs, Log: log,
		})
		if err != nil {
			return err
		}
		return server.Run(ctx, func(net.Addr) { ready() })
	}
	for {
		conn, err := connect(ctx, boot.AgentID, boot.Mbus, log)
		if err != nil || conn == nil {
			return err
		}
		err = converse(ctx, conn, boot.AgentID, crypt, actions, voice, ready, log)
		conn.Close()
		if ctx.Err() != nil {
			return nil
		}
		log.Warn().AnErr("err", err).Dur("pause", longestPause).Msg("the bus does not let the agent listen yet")
		if poll.Pause(ctx, longestPause) != nil {
			return nil
		}
	}
}

// converse listens and speaks until ctx ends or the bus refuses.
func converse(ctx context.Context, conn *bus.Conn, agentID string, crypt *mbus.Crypt, actions *action.Dispatcher, voice *voice, ready func(), log zerolog.Logger) error {
	server, err := mbus.NewNATS(mbus.NATSOptions{Bus: onBus{conn}, AgentID: agentID, Dispatcher: actions, Crypt: crypt, Log: log})
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		return server.Run(ctx, func() {
			group.Go(func() error { return voice.run(ctx, conn, actions) })
			ready()
		})
	})
	return group.Wait()
}

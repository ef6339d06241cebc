package action

import (
	"context"
	"errors"
	"io"

	"github.com/rs/zerolog"

	"github.com/microbosh/microbosh/pkg/messages"
	"github.com/microbosh/microbosh/services/agent/internal/blobstore"
	"github.com/microbosh/microbosh/services/agent/internal/home"
	"github.com/microbosh/microbosh/services/agent/internal/platform"
	"github.com/microbosh/microbosh/services/agent/internal/supervisor"
	"github.com/microbosh/microbosh/services/agent/internal/task"
	"github.com/microbosh/microbosh/services/agent/internal/vitals"
)

// Tasks runs and remembers the asynchronous actions.
type Tasks interface {
	Submit(method, stepID string, work task.Work) (task.Task, error)
	Get(id string) (task.Task, bool)
	Wait(ctx context.Context, id string) (task.Task, bool)
	Cancel(id string) error
}

// Disks are the persistent disks.
type Disks interface {
	List(ctx context.Context) ([]string, error)
	Mount(ctx context.Context, cid string) error
	Unmount(ctx context.Context, cid string) (string, error)
	Migrate(ctx context.Context, from, to string) error
	Add(cid string, hint []byte) error
	Remove(cid string) error
	Find(ctx context.Context, cid string, hint []byte) (device string, err error) // hint nil: of those that are known
}

// Machine is the rest of the platform that actions need.
type Machine interface {
	DefaultNetwork(ctx context.Context) (messages.Network, error)
	SetupLogrotate(ctx context.Context, size string) error
	GiveToJobs(ctx context.Context, dir string) error
	Shutdown(ctx context.Context) error
}

// Blobs are what blobstores and signed URLs hold; what is read is verified.
type Blobs interface {
	Unpack(ctx context.Context, from blobstore.Source, dir string) error
	Fetch(ctx context.Context, from blobstore.Source) (*blobstore.File, error)
	Create(ctx context.Context, path string) (id string, err error)
	Upload(ctx context.Context, url string, headers map[string]string, path string) error
	Keep(id, digest string, from io.Reader) error
}

// Vitals measures the machine.
type Vitals interface {
	Measure() vitals.Vitals
}

// Options of a Dispatcher. All but Log are needed.
type Options struct {
	Home       home.Dir
	AgentID    string
	Tasks      Tasks
	Disks      Disks
	Machine    Machine
	Served     platform.Served
	Blobs      Blobs
	Vitals     Vitals
	Supervisor supervisor.Supervisor
	Settings   func(context.Context) (messages.Settings, error) // loads them anew
	Boot       messages.Settings                                // those of the boot
	Goodbye    func() error                                     // publishes the shutdown notice
	Quit       func()                                           // ends the agent after the answers under way
	Restart    func()                                           // likewise, and it starts anew
	Log        zerolog.Logger
}

func (o Options) check() error {
	if o.Tasks == nil || o.Disks == nil || o.Machine == nil || o.Served == nil || o.Blobs == nil || o.Vitals == nil ||
		o.Supervisor == nil || o.Settings == nil || o.Goodbye == nil || o.Quit == nil || o.Restart == nil || o.AgentID == "" {
		return errors.New("cannot make the actions: an option is missing")
	}
	return nil
}

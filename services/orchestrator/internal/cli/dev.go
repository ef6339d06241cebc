package cli

import (
	"context"
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/microbosh/microbosh/pkg/daemon"
	"github.com/microbosh/microbosh/pkg/messages"
	"github.com/microbosh/microbosh/services/orchestrator/internal/stack"
	"github.com/microbosh/microbosh/services/orchestrator/internal/statefile"
)

const devLong = `Run the whole system on this machine: the bus, the orchestrator, the registry,
the OpenStack CPI and devcloud, a small OpenStack whose servers are processes.

It stays until Ctrl-C. Its state is in .microbosh, so the next start goes on
where this one ended; commands in that folder join it by themselves.`

func (a *app) devCommand() *cobra.Command {
	var dir string
	var port int
	cmd := &cobra.Command{
		Use:   "dev",
		Short: "run everything on this machine, with a small cloud",
		Long:  devLong,
		Args:  usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, stop := interruptible(cmd)
			defer stop()
			return a.dev(ctx, dir, port)
		},
	}
	cmd.Flags().StringVar(&dir, "dir", ".", "folder that gets .microbosh; put the manifest there")
	cmd.Flags().IntVar(&port, "listen-bus", 0, "port of the bus (0 = the one of the last start, else a free one)")
	return cmd
}

func (a *app) dev(ctx context.Context, dir string, port int) error {
	folder, err := filepath.Abs(filepath.Join(dir, statefile.FolderName))
	if err != nil {
		return messages.Errorf(messages.CodeUsage, "cannot name the folder: %w", err)
	}
	st, err := stack.Start(ctx, stack.Options{Dir: folder, Host: a.host, BusPort: port, Cloud: true, Log: a.stackLog()})
	if err != nil {
		return interruptedOr(ctx, err)
	}
	defer st.Stop()
	if !st.Owned() {
		return messages.Errorf(messages.CodeStateLocked, "a bus runs in %s already, at %s", folder, st.URL()).
			WithHint("end it first, or choose another folder with --dir")
	}
	cloud, err := readCloud(st.CloudDir())
	if err != nil {
		return err
	}
	a.ui.Result(devText(st, folder, cloud), map[string]string{
		"folder": folder, "bus": st.URL(), "keys": st.Keys(),
		"auth_url": cloud.AuthURL, "state_url": cloud.URL + "/devcloud/state",
		"username": cloud.User, "project": cloud.Project, "password_file": cloud.PasswordFile,
	})
	if err := daemon.Ready(); err != nil {
		return err
	}
	<-ctx.Done()
	if !a.ui.JSON { // whoever read the result may be gone
		a.ui.Say("microbosh: stopping")
	}
	return nil
}

func devText(st *stack.Stack, folder string, c cloud) string {
	dir := filepath.Dir(folder)
	manifest := filepath.Join(dir, "micro_bosh.yml")
	return fmt.Sprintf(`microbosh runs in %[1]s
  bus      %[2]s (keys in %[3]s)
  cloud    %[4]s (user %[5]s, project %[6]s, password in %[7]s)
  logs     %[8]s

Try, in another terminal:
  sed -e "s#AUTH_URL#%[4]s#; s#USERNAME#%[5]s#; s#PROJECT#%[6]s#; s#PASSWORD#$(cat %[7]s)#" \
    deploy/examples/dev/micro_bosh.yml > %[9]s
  microbosh deployment %[9]s
  microbosh stemcell build
  microbosh deploy microbosh-openstack-dev.tgz
  microbosh status
  microbosh delete
  nats --server %[2]s --nkey %[10]s sub 'bosh.v1.>'

Ctrl-C ends it, and what was deployed into devcloud with it: delete first.`,
		dir, st.URL(), st.Keys(), c.AuthURL, c.User, c.Project, c.PasswordFile, filepath.Join(folder, "log"), manifest,
		filepath.Join(st.Keys(), messages.RoleOps+".nk"))
}

package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/microbosh/microbosh/pkg/daemon"
	"github.com/microbosh/microbosh/pkg/messages"
	"github.com/microbosh/microbosh/services/orchestrator/internal/stack"
	"github.com/microbosh/microbosh/services/orchestrator/internal/statefile"
)

const devLong = `Run the whole system on this machine: the bus, the orchestrator, the registry,
the OpenStack CPI and devcloud, a small OpenStack whose servers are processes.

A folder without micro_bosh.yml gets one for that cloud. It stays until Ctrl-C.
Its state is in .microbosh, so the next start goes on where this one ended;
commands in that folder join it by themselves.`

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
	path := filepath.Join(filepath.Dir(folder), "micro_bosh.yml")
	if err := writeDevManifest(path, cloud); err != nil {
		return err
	}
	a.ui.Result(devText(st, folder, cloud, path), map[string]string{
		"manifest": path,
		"folder":   folder, "bus": st.URL(), "keys": st.Keys(),
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

// devManifest is a manifest for the cloud of `microbosh dev`.
const devManifest = `---
name: micro-dev
network: {type: dynamic}
resources:
  persistent_disk: 1024
  cloud_properties: {instance_type: m1.small}
cloud:
  plugin: openstack
  properties:
    openstack: {auth_url: %q, username: %q, api_key: %q, tenant: %q}
    agent: {mbus: "nats://"} # the bus that deploys it; its address is filled in
`

// writeDevManifest gives the folder a manifest when it has none. It is only for
// its owner: the cloud's password is in it.
func writeDevManifest(path string, c cloud) error {
	password, err := os.ReadFile(c.PasswordFile)
	if err != nil {
		return fmt.Errorf("cannot read the cloud's password: %w", err)
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err == nil {
		_, err = fmt.Fprintf(f, devManifest, c.AuthURL, c.User, strings.TrimSpace(string(password)), c.Project)
		err = errors.Join(err, f.Close())
	}
	if err != nil {
		return messages.Errorf(messages.CodeManifestMissing, "cannot write a manifest for this cloud: %w", err)
	}
	return nil
}

func devText(st *stack.Stack, folder string, c cloud, manifest string) string {
	return fmt.Sprintf(`microbosh runs in %[1]s
  bus      %[2]s (keys in %[3]s)
  cloud    %[4]s (user %[5]s, project %[6]s, password in %[7]s)
  logs     %[8]s

Try, in another terminal:
  microbosh deployment %[9]s
  microbosh stemcell build
  microbosh deploy microbosh-openstack-dev.tgz
  microbosh status
  microbosh delete
  nats --server %[2]s --nkey %[10]s sub 'bosh.v1.>'

Ctrl-C ends it, and what was deployed into devcloud with it: delete first.`,
		filepath.Dir(folder), st.URL(), st.Keys(), c.AuthURL, c.User, c.Project, c.PasswordFile, filepath.Join(folder, "log"), manifest,
		filepath.Join(st.Keys(), messages.RoleOps+".nk"))
}

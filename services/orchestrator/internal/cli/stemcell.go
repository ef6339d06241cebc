package cli

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	recipe "github.com/microbosh/microbosh/deploy/stemcell"
	"github.com/microbosh/microbosh/pkg/messages"
	"github.com/microbosh/microbosh/pkg/stemcell"
	"github.com/microbosh/microbosh/services/orchestrator/internal/stack"
)

const formatPrefix = "openstack-"

const buildLong = `Build a stemcell from the programs beside this one.

  dev               an overlay for devcloud (default): seconds, no root
  openstack-qcow2   a disk that boots: Debian 12 with our agent, systemd and monit
  openstack-raw     the same, uncompressed

The last two need root on Debian. Debian comes from the mirror that apt is set
to, once; it is kept in the cache. The same input gives the same bytes.`

// buildFlags are stemcell build's own.
type buildFlags struct {
	output, format, mirror, cache string
	fresh                         bool
}

func (a *app) stemcellCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "stemcell",
		Short: "build stemcells and look into them",
		Args:  usageArgs(cobra.NoArgs),
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	var f buildFlags
	build := &cobra.Command{
		Use:   "build",
		Short: "build a stemcell from the programs beside this one",
		Long:  buildLong,
		Args:  usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, stop := interruptible(cmd)
			defer stop()
			return a.buildStemcell(ctx, f)
		},
	}
	flags := build.Flags()
	flags.StringVarP(&f.output, "output", "o", "", "file to write (default microbosh-FORMAT.tgz)")
	flags.StringVar(&f.format, "format", "dev", "dev, openstack-qcow2 or openstack-raw")
	flags.StringVar(&f.mirror, "mirror", "", "of Debian (default: apt's)")
	flags.StringVar(&f.cache, "cache", "", "folder for what is fetched (default: ~/.cache/microbosh/stemcell)")
	flags.BoolVar(&f.fresh, "fresh", false, "fetch Debian anew although the cache has it")
	cmd.AddCommand(build, a.inspectCommand())
	return cmd
}

func (a *app) buildStemcell(ctx context.Context, f buildFlags) error {
	disk, bootable := strings.CutPrefix(f.format, formatPrefix)
	if f.format != "dev" && (!bootable || disk != recipe.QCOW2 && disk != recipe.Raw) {
		return usage("cannot build a stemcell of format %q: there are dev, openstack-qcow2 and openstack-raw", f.format)
	}
	if f.output == "" {
		f.output = "microbosh-openstack-dev.tgz"
		if bootable {
			f.output = "microbosh-" + f.format + ".tgz"
		}
	}
	path, err := filepath.Abs(f.output)
	if err != nil {
		return messages.Errorf(messages.CodeUsage, "cannot name the stemcell: %w", err)
	}
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() { // it would be replaced
		return usage("cannot write the stemcell to %s, which is no file", path)
	}
	programs, agent, err := ownPrograms()
	if err != nil {
		return err
	}
	o := stemcell.DevOptions{Output: path, Version: semver(), Agent: agent, Programs: programs}
	if bootable {
		err = a.buildBootable(ctx, f, disk, o)
	} else {
		err = stemcell.BuildDev(o)
	}
	if err != nil {
		return err
	}
	a.ui.Result(fmt.Sprintf("Built %s", path), map[string]string{"path": path, "version": semver()})
	return nil
}

// ownPrograms are those that go into a stemcell.
func ownPrograms() (programs []string, agent string, err error) {
	dir, err := stack.Programs()
	if err != nil {
		return nil, "", err
	}
	for _, name := range []string{"microbosh", "microbosh-registry", "microbosh-cpi-openstack"} {
		programs = append(programs, filepath.Join(dir, name))
	}
	agent = filepath.Join(dir, "microbosh-agent")
	for _, p := range append([]string{agent}, programs...) {
		if _, err := os.Stat(p); err != nil {
			return nil, "", messages.Errorf(messages.CodeStemcellMissing, "cannot build the stemcell: %w", err).
				WithHint("`make build` puts all programs into bin/")
		}
	}
	return programs, agent, nil
}

func (a *app) buildBootable(ctx context.Context, f buildFlags, disk string, o stemcell.DevOptions) error {
	if f.cache == "" {
		dir, err := os.UserCacheDir()
		if err != nil {
			return messages.Errorf(messages.CodeUsage, "cannot find a folder for the cache: %w", err).WithHint("name one with --cache")
		}
		f.cache = filepath.Join(dir, "microbosh", "stemcell")
	}
	release, err := recipe.Release(o.Version, filepath.Dir(o.Agent))
	if err != nil {
		return err
	}
	files, spec, err := release.Files()
	if err != nil {
		return err
	}
	return stemcell.Build(stemcell.Options{
		Output: o.Output, Name: "microbosh-openstack-kvm-debian-bookworm", Version: o.Version, APIVersion: 3, Formats: []string{f.format},
		CloudProperties: map[string]any{
			"infrastructure": "openstack", "hypervisor": "kvm", "disk_format": disk, "container_format": "bare", "os_type": "linux",
			"os_distro": "debian", "architecture": "x86_64", "auto_disk_config": "true", "root_device_name": "/dev/vda1",
		},
		ApplySpec: spec,
		Root: recipe.Root(ctx, recipe.Options{
			Format: disk, Mirror: f.mirror, Cache: f.cache, Fresh: f.fresh, Files: append(files, stemcell.AgentFile(o.Agent)),
			Say: func(what string) { a.ui.Say("microbosh: %s", what) },
		}),
	})
}

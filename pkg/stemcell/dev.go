package stemcell

import (
	"fmt"
	"os"
	"path/filepath"
)

// DevOptions describe the stemcell of the embedded cloud: an overlay with the
// agent, and a local blobstore with one job and one package.
type DevOptions struct {
	Output   string
	Version  string
	Agent    string   // the agent's program
	Programs []string // what the package holds
	Control  []byte   // the job's bin/ctl; nil: the one that runs `microbosh director`
}

const devMonit = `check process microbosh
  with pidfile /var/vcap/sys/run/microbosh/microbosh.pid
  start program "/var/vcap/jobs/microbosh/bin/ctl start"
  stop program "/var/vcap/jobs/microbosh/bin/ctl stop"
  group vcap
`

const devJob = `---
name: microbosh
templates:
  ctl: bin/ctl
packages:
- microbosh
properties: {}
`

const devControl = `#!/bin/sh
# Starts and stops microbosh in this VM. The job's place tells the base folder.
set -e
base=$(cd "$(dirname "$0")/../../.." && pwd)
run=$base/sys/run/microbosh
log=$base/sys/log/microbosh
pidfile=$run/microbosh.pid
data=$base/store/microbosh
[ -d "$base/store" ] || data=$base/data/microbosh

alive() { [ -s "$pidfile" ] && kill -0 "$(cat "$pidfile")" 2>/dev/null; }

case $1 in
start)
  mkdir -p "$run" "$log" "$data"
  if alive; then exit 0; fi
  "$base/packages/microbosh/bin/microbosh" director --spec "$base/bosh/spec.json" --data "$data" \
    </dev/null >>"$log/microbosh.stdout.log" 2>>"$log/microbosh.stderr.log" &
  echo $! >"$pidfile"
  ;;
stop)
  if alive; then kill "$(cat "$pidfile")"; fi
  rm -f "$pidfile"
  ;;
*)
  echo "usage: $0 {start|stop}" >&2
  exit 2
  ;;
esac
`

// BuildDev builds the dev stemcell.
func BuildDev(o DevOptions) error {
	files, spec, err := DevRelease(o).Files()
	if err != nil {
		return err
	}
	if _, err := os.Stat(o.Agent); err != nil {
		return fmt.Errorf("cannot find the agent: %w", err)
	}
	return Build(Options{
		Output: o.Output, Name: "microbosh-openstack-dev", Version: o.Version, APIVersion: 3, Formats: []string{"openstack-raw"},
		CloudProperties: map[string]any{
			"infrastructure": "openstack", "disk_format": "raw", "container_format": "bare", "os_type": "linux",
			"os_distro": "dev", "architecture": "x86_64",
		},
		ApplySpec: spec, Root: RootTar(append(files, AgentFile(o.Agent))),
	})
}

// AgentFile is the agent's program where stemcells have it.
func AgentFile(program string) File { return File{Path: agentPath, Mode: 0o755, Source: program} }

// Programs are files of a package below bin.
func Programs(paths ...string) []File {
	var files []File
	for _, path := range paths {
		files = append(files, File{Path: "bin/" + filepath.Base(path), Mode: 0o755, Source: path})
	}
	return files
}

// DevRelease is one job that runs everything.
func DevRelease(o DevOptions) Release {
	control := o.Control
	if control == nil {
		control = []byte(devControl)
	}
	type m = map[string]any
	return Release{
		Job: "microbosh", Version: o.Version,
		Jobs: map[string][]File{"microbosh": {
			{Path: "job.MF", Mode: 0o644, Data: []byte(devJob)},
			{Path: "monit", Mode: 0o644, Data: []byte(devMonit)},
			{Path: "templates/ctl", Mode: 0o755, Data: control},
		}},
		Packages: map[string][]File{"microbosh": Programs(o.Programs...)},
		Properties: m{
			"micro":     true,
			"nats":      m{"address": "127.0.0.1"},
			"blobstore": m{"address": "127.0.0.1"},
			"director":  m{"address": "127.0.0.1", "name": "micro", "port": 25555},
			"registry":  m{"address": "127.0.0.1", "http": m{"port": 25777}},
		},
	}
}

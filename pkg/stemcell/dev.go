package stemcell

import (
	"crypto/sha1"
	"encoding/hex"
	"encoding/json"
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

// devBlobs is where the local blobstore of a micro stemcell lies.
const devBlobs = "var/vcap/micro_bosh/data/cache"

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

// blob is an archive under the name that the spec calls it by.
type blob struct {
	id, sha1 string
	data     []byte
}

func newBlob(files []File) (blob, error) {
	data, err := Archive(files)
	if err != nil {
		return blob{}, err
	}
	sum := sha1.Sum(data)
	digest := hex.EncodeToString(sum[:])
	return blob{id: "blob-" + digest, sha1: digest, data: data}, nil
}

// BuildDev builds the dev stemcell.
func BuildDev(o DevOptions) error {
	control := o.Control
	if control == nil {
		control = []byte(devControl)
	}
	job, err := newBlob([]File{
		{Path: "job.MF", Mode: 0o644, Data: []byte(devJob)},
		{Path: "monit", Mode: 0o644, Data: []byte(devMonit)},
		{Path: "templates/ctl", Mode: 0o755, Data: control},
	})
	if err != nil {
		return fmt.Errorf("cannot build the job: %w", err)
	}
	var programs []File
	for _, program := range o.Programs {
		programs = append(programs, File{Path: "bin/" + filepath.Base(program), Mode: 0o755, Source: program})
	}
	pack, err := newBlob(programs)
	if err != nil {
		return fmt.Errorf("cannot build the package: %w", err)
	}
	spec, err := json.MarshalIndent(devSpec(o.Version, job, pack), "", "  ")
	if err != nil {
		return fmt.Errorf("cannot build the apply spec: %w", err)
	}
	if _, err := os.Stat(o.Agent); err != nil {
		return fmt.Errorf("cannot find the agent: %w", err)
	}
	root := []File{
		{Path: "var/vcap/bosh/bin/bosh-agent", Mode: 0o755, Source: o.Agent},
		{Path: "var/vcap/micro/apply_spec.json", Mode: 0o644, Data: spec},
		{Path: devBlobs + "/" + job.id, Mode: 0o644, Data: job.data},
		{Path: devBlobs + "/" + pack.id, Mode: 0o644, Data: pack.data},
	}
	return Build(Options{
		Output: o.Output, Name: "microbosh-openstack-dev", Version: o.Version, APIVersion: 3, Formats: []string{"openstack-raw"},
		CloudProperties: map[string]any{
			"infrastructure": "openstack", "disk_format": "raw", "container_format": "bare", "os_type": "linux",
			"os_distro": "dev", "architecture": "x86_64",
		},
		ApplySpec: spec, Root: RootTar(root),
	})
}

func devSpec(version string, job, pack blob) map[string]any {
	type m = map[string]any
	return m{
		"deployment": "micro", "release": m{"name": "micro", "version": version}, "index": 0, "configuration_hash": m{},
		"networks": m{"type": "dynamic"},
		"job": m{
			"name": "microbosh", "template": "microbosh", "version": version, "sha1": job.sha1, "blobstore_id": job.id,
			"templates": []m{{"name": "microbosh", "version": version, "sha1": job.sha1, "blobstore_id": job.id}},
		},
		"packages": m{"microbosh": m{"name": "microbosh", "version": version, "sha1": pack.sha1, "blobstore_id": pack.id}},
		"properties": m{
			"micro":     true,
			"nats":      m{"address": "127.0.0.1"},
			"blobstore": m{"address": "127.0.0.1"},
			"director":  m{"address": "127.0.0.1", "name": "micro", "port": 25555},
			"registry":  m{"address": "127.0.0.1", "http": m{"port": 25777}},
		},
	}
}

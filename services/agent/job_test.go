package main_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha1"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
)

// blob stores an archive of files, whose names that begin with bin/ can be run.
func (v *vm) blob(id string, files map[string]string) map[string]string {
	v.Helper()
	var out bytes.Buffer
	zip := gzip.NewWriter(&out)
	w := tar.NewWriter(zip)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		content := files[name]
		h := &tar.Header{Typeflag: tar.TypeReg, Name: "./" + name, Size: int64(len(content)), Mode: 0o755}
		if err := w.WriteHeader(h); err != nil {
			v.Fatal(err)
		}
		if _, err := w.Write([]byte(content)); err != nil {
			v.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		v.Fatal(err)
	}
	if err := zip.Close(); err != nil {
		v.Fatal(err)
	}
	cache := filepath.Join(v.base, "micro_bosh", "data", "cache")
	if err := os.MkdirAll(cache, 0o700); err != nil {
		v.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(cache, id), out.Bytes(), 0o600); err != nil {
		v.Fatal(err)
	}
	return map[string]string{"name": id, "version": "1", "sha1": fmt.Sprintf("%x", sha1.Sum(out.Bytes())), "blobstore_id": id}
}

const ctl = `#!/bin/sh
base=$(cd "$(dirname "$0")/../../.." && pwd)
run=$base/sys/run/web
case $1 in
start)
  mkdir -p $run
  $base/packages/greeting/bin/serve &
  echo $! > $run/web.pid ;;
stop)
  kill $(cat $run/web.pid)
  rm -f $run/web.pid ;;
esac
`

const monit = `check process web
  with pidfile /var/vcap/sys/run/web/web.pid
  start program "/var/vcap/jobs/web/bin/ctl start" with timeout 20 seconds
  stop program "/var/vcap/jobs/web/bin/ctl stop"
  group vcap
`

// spec is an apply spec of one job, whose files may be added to.
func (v *vm) spec(files map[string]string) map[string]any {
	v.Helper()
	job := map[string]string{
		"job.MF":           "---\nname: web\ntemplates:\n  ctl.sh: bin/ctl\n",
		"templates/ctl.sh": ctl, "monit": monit,
	}
	for name, content := range files {
		job[name] = content
	}
	return map[string]any{
		"deployment": "micro", "index": 0, "id": "i-1", "configuration_hash": map[string]any{},
		"job":      map[string]any{"name": "bosh", "templates": []any{v.blob("web", job)}},
		"packages": map[string]any{"greeting": v.blob("greeting", map[string]string{"bin/serve": "#!/bin/sh\nexec sleep 86400\n"})},
		"networks": map[string]any{"bosh": map[string]any{"type": "dynamic", "cloud_properties": map[string]any{}}},
	}
}

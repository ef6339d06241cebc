package action

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/microbosh/microbosh/services/agent/internal/blobstore"
	"github.com/microbosh/microbosh/services/agent/internal/home"
)

// maxLogs bounds what is gathered.
const maxLogs = 4 << 30

func fetchLogs(ctx context.Context, d *Dispatcher, c call) (any, error) {
	var kind string
	var filters []string
	if err := c.arg(0, &kind); err != nil {
		return nil, err
	}
	if len(c.args) > 1 {
		if err := c.arg(1, &filters); err != nil {
			return nil, err
		}
	}
	tarball, err := d.bundle(ctx, kind, filters)
	if err != nil {
		return nil, err
	}
	defer os.Remove(tarball)
	sha1, _, err := blobstore.Digests(tarball)
	if err != nil {
		return nil, err
	}
	id, err := d.o.Blobs.Create(ctx, tarball)
	if err != nil {
		return nil, fmt.Errorf("unable to upload logs to blobstore: %w", err)
	}
	return map[string]string{"blobstore_id": id, "sha1": sha1}, nil
}

func fetchLogsWithSignedURL(ctx context.Context, d *Dispatcher, c call) (any, error) {
	var request struct {
		URL     string            `json:"signed_url"`
		Kind    string            `json:"log_type"`
		Filters []string          `json:"filters"`
		Headers map[string]string `json:"blobstore_headers"`
	}
	if err := c.arg(0, &request); err != nil {
		return nil, err
	}
	tarball, err := d.bundle(ctx, request.Kind, request.Filters)
	if err != nil {
		return nil, err
	}
	defer os.Remove(tarball)
	sha1, sha512, err := blobstore.Digests(tarball)
	if err != nil {
		return nil, err
	}
	if err := d.o.Blobs.Upload(ctx, request.URL, request.Headers, tarball); err != nil {
		return nil, fmt.Errorf("unable to upload logs to blobstore: %w", err)
	}
	return map[string]string{"sha1": sha1 + ";sha512:" + sha512}, nil
}

// bundleLogs leaves the archive on the machine: somebody fetches it by SSH.
func bundleLogs(ctx context.Context, d *Dispatcher, c call) (any, error) {
	var request struct {
		Owner   string   `json:"owning_user"`
		Kind    string   `json:"log_type"`
		Filters []string `json:"filters"`
	}
	if err := c.arg(0, &request); err != nil {
		return nil, err
	}
	tarball, err := d.bundle(ctx, request.Kind, request.Filters)
	if err != nil {
		return nil, err
	}
	_, sha512, err := blobstore.Digests(tarball)
	if err == nil && request.Owner != "" {
		err = giveTo(tarball, request.Owner)
	}
	if err != nil {
		return nil, errors.Join(err, os.Remove(tarball))
	}
	return map[string]string{"logs_tar_path": tarball, "sha512": "sha512:" + sha512}, nil
}

// removeFile removes what bundle_logs made. Nothing else is removed: who may
// ask for files may not ask for the machine.
func removeFile(_ context.Context, d *Dispatcher, c call) (any, error) {
	var file string
	if err := c.arg(0, &file); err != nil {
		return nil, err
	}
	if filepath.Clean(file) != file || filepath.Dir(file) != d.bundles() {
		return nil, fmt.Errorf("%q is not below %s: only what bundle_logs made is removed", clip(file), d.bundles())
	}
	if err := os.RemoveAll(file); err != nil {
		return nil, err
	}
	return file, nil
}

func (d *Dispatcher) bundles() string { return d.o.Home.Join("data", "tmp", "logs") }

// bundle copies the logs that the filters name and packs them.
func (d *Dispatcher) bundle(ctx context.Context, kinds string, filters []string) (tarball string, err error) {
	if err := home.MkdirAll(d.bundles()); err != nil {
		return "", err
	}
	stage, err := os.MkdirTemp(d.bundles(), "stage-*")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(stage)
	patterns, err := d.patterns(kinds, filters)
	if err != nil {
		return "", err
	}
	left := int64(maxLogs)
	for kind := range strings.SplitSeq(kinds, ",") {
		dir, into := d.o.Home.Join("sys", "log"), stage
		switch kind {
		case "agent":
			dir = d.o.Home.Bosh("log")
		case "system":
			dir, into = filepath.Join(d.o.Home.Root(), "var", "log"), filepath.Join(stage, "var", "log")
		}
		if left, err = gather(ctx, dir, into, patterns, left); err != nil {
			return "", fmt.Errorf("error aggregating logs: %w", err)
		}
	}
	out, err := os.CreateTemp(d.bundles(), "logs-*.tgz")
	if err != nil {
		return "", err
	}
	if err := errors.Join(blobstore.Pack(out, stage), out.Close()); err != nil {
		return "", errors.Join(fmt.Errorf("error aggregating logs: %w", err), os.Remove(out.Name()))
	}
	return out.Name(), nil
}

// patterns are the filters; `all` and the names of the job's logs stand for
// patterns, as in 2014.
func (d *Dispatcher) patterns(kinds string, filters []string) ([]string, error) {
	for kind := range strings.SplitSeq(kinds, ",") {
		switch kind {
		case "job", "agent", "system":
		default:
			return nil, fmt.Errorf("matcher for %s logs not found", clip(kind))
		}
	}
	if len(filters) == 0 {
		return []string{"**/*"}, nil
	}
	s, err := d.current()
	if err != nil {
		return nil, err
	}
	var named map[string]string
	if raw := s.Job.Logs; len(raw) > 0 && json.Unmarshal(raw, &named) != nil {
		d.o.Log.Warn().Msg("the job's logs are no map of names to patterns and are left out")
	}
	var patterns []string
	for _, filter := range filters {
		switch pattern, ok := named[filter]; {
		case filter == "all":
			patterns = append(patterns, "**/*")
		case ok:
			patterns = append(patterns, pattern)
		default:
			patterns = append(patterns, filter)
		}
	}
	return patterns, nil
}

// gather copies the files that match, following links that stay inside.
func gather(ctx context.Context, dir, into string, patterns []string, left int64) (int64, error) {
	dir, err := filepath.EvalSymlinks(dir) // <base>/sys is a link itself
	if errors.Is(err, fs.ErrNotExist) {
		return left, nil
	}
	if err != nil {
		return left, err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return left, err
	}
	defer root.Close()
	err = fs.WalkDir(root.FS(), ".", func(name string, entry fs.DirEntry, err error) error {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err != nil || entry.IsDir() || !matches(patterns, name) {
			return nil // a file may go while it is looked for
		}
		info, err := root.Stat(name)
		if err != nil || !info.Mode().IsRegular() {
			return nil
		}
		n, err := copyOut(root, name, filepath.Join(into, name), left)
		left -= n
		return err
	})
	return left, err
}

func copyOut(root *os.Root, name, to string, left int64) (int64, error) {
	from, err := root.Open(name)
	if err != nil {
		return 0, nil
	}
	defer from.Close()
	if err := home.MkdirAll(filepath.Dir(to)); err != nil {
		return 0, err
	}
	out, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return 0, err
	}
	n, err := io.Copy(out, io.LimitReader(from, left+1))
	if err == nil && n > left {
		err = fmt.Errorf("there are more than %d bytes of logs", int64(maxLogs))
	}
	return n, errors.Join(err, out.Close())
}

// matches tells whether a pattern fits, in which ** is any number of folders.
func matches(patterns []string, name string) bool {
	for _, pattern := range patterns {
		if fits(strings.Split(path.Clean(pattern), "/"), strings.Split(name, "/")) {
			return true
		}
	}
	return false
}

func fits(pattern, name []string) bool {
	// Two stars beside each other mean one; more of them must not cost more.
	for len(pattern) > 1 && pattern[0] == "**" && pattern[1] == "**" {
		pattern = pattern[1:]
	}
	switch {
	case len(pattern) == 0:
		return len(name) == 0
	case pattern[0] == "**":
		for i := range len(name) + 1 {
			if fits(pattern[1:], name[i:]) {
				return true
			}
		}
		return false
	case len(name) == 0:
		return false
	}
	ok, err := path.Match(pattern[0], name[0])
	return err == nil && ok && fits(pattern[1:], name[1:])
}

package action

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/microbosh/microbosh/services/agent/internal/blobstore"
	"github.com/microbosh/microbosh/services/agent/internal/home"
)

// compilation is one package to be compiled and where the result goes.
type compilation struct {
	source  blob
	deps    map[string]blob
	upload  string // a signed URL; "" is the blobstore
	headers map[string]string
}

func compilePackage(ctx context.Context, d *Dispatcher, c call) (any, error) {
	var k compilation
	for i, into := range []any{&k.source.BlobstoreID, &k.source.SHA1, &k.source.Name, &k.source.Version, &k.deps} {
		if err := c.arg(i, into); err != nil {
			return nil, err
		}
	}
	return d.compile(ctx, k)
}

func compilePackageWithSignedURL(ctx context.Context, d *Dispatcher, c call) (any, error) {
	var request struct {
		Get     string            `json:"package_get_signed_url"`
		Upload  string            `json:"upload_signed_url"`
		Headers map[string]string `json:"blobstore_headers"`
		Digest  string            `json:"digest"`
		Name    string            `json:"name"`
		Version version           `json:"version"`
		Deps    map[string]blob   `json:"deps"`
	}
	if err := c.arg(0, &request); err != nil {
		return nil, err
	}
	if request.Upload == "" {
		return nil, errors.New("Compiling package: upload_signed_url is missing") //nolint:staticcheck // BOSH's text
	}
	return d.compile(ctx, compilation{
		source: blob{Name: request.Name, Version: request.Version, SHA1: request.Digest, SignedURL: request.Get, Headers: request.Headers},
		deps:   request.Deps, upload: request.Upload, headers: request.Headers,
	})
}

// compile installs what the package needs, runs its packaging script and stores
// what that has installed. Nothing of it stays on the machine.
func (d *Dispatcher) compile(ctx context.Context, k compilation) (result any, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("Compiling package %s: %w", clip(k.source.Name), err) //nolint:staticcheck // BOSH's text
		}
	}()
	if err := k.source.check("package", true); err != nil {
		return nil, err
	}
	stage := d.o.Home.Join("data", "compile")
	clean := func() error {
		return errors.Join(os.RemoveAll(stage), d.removePackages())
	}
	if err := clean(); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, clean()) }()
	for _, name := range slices.Sorted(maps.Keys(k.deps)) {
		if err := d.dependency(ctx, k.deps[name]); err != nil {
			return nil, fmt.Errorf("Installing dependent package: '%s': %w", clip(name), err) //nolint:staticcheck // BOSH's text
		}
	}
	source := filepath.Join(stage, k.source.Name)
	if err := home.MkdirAll(stage); err != nil {
		return nil, err
	}
	if err := d.unpack(ctx, k.source, source); err != nil {
		return nil, fmt.Errorf("Compile Package Unpack Source Failure: %w", err) //nolint:staticcheck // BOSH's text
	}
	if err := roomLeft(stage); err != nil {
		return nil, err
	}
	at, err := d.folder("packages", k.source, k.source.SHA1)
	if err != nil {
		return nil, err
	}
	target := d.o.Home.Join("packages", k.source.Name)
	if err := home.MkdirAll(at.dir); err != nil {
		return nil, err
	}
	if err := home.Symlink(at.dir, target); err != nil {
		return nil, err
	}
	if err := packaging(ctx, k.source, source, target); err != nil {
		return nil, err
	}
	return d.storePackage(ctx, k, at.dir, filepath.Join(stage, "compiled.tgz"))
}

func (d *Dispatcher) dependency(ctx context.Context, b blob) error {
	if err := b.check("package", true); err != nil {
		return err
	}
	at, err := d.folder("packages", b, b.SHA1)
	if err != nil {
		return err
	}
	if !there(at.dir) {
		if err := d.unpack(ctx, b, at.dir); err != nil {
			return err
		}
	}
	return home.Symlink(at.dir, d.o.Home.Join("packages", b.Name))
}

// removePackages makes room for others: a VM that compiles runs no job.
func (d *Dispatcher) removePackages() error {
	s, err := d.current()
	if err != nil {
		return err
	}
	keep := map[string]bool{}
	for _, p := range s.Packages {
		if at, err := d.folder("packages", p, p.SHA1); err == nil {
			keep[at.dir] = true
		}
	}
	all, err := filepath.Glob(d.o.Home.Join("data", "packages", "*", "*", "*"))
	if err != nil {
		return err
	}
	var failed []error
	for _, dir := range all {
		if !keep[dir] {
			failed = append(failed, removeFolder(dir))
		}
	}
	links, err := filepath.Glob(d.o.Home.Join("packages", "*"))
	if err != nil {
		return err
	}
	for _, link := range links {
		if _, err := os.Stat(link); errors.Is(err, os.ErrNotExist) { // leads to what was removed
			failed = append(failed, os.Remove(link))
		}
	}
	return errors.Join(failed...)
}

// packaging runs the script, when there is one.
func packaging(ctx context.Context, b blob, source, target string) error {
	path := filepath.Join(source, "packaging")
	if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
		return nil
	}
	out, err := script{path: "/bin/bash", args: []string{"-x", "packaging"}, dir: source, env: []string{
		"BOSH_COMPILE_TARGET=" + source, "BOSH_INSTALL_TARGET=" + target,
		"BOSH_PACKAGE_NAME=" + b.Name, "BOSH_PACKAGE_VERSION=" + string(b.Version), "HOME=" + source,
		scriptPath,
	}}.run(ctx)
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return fmt.Errorf("Running packaging script: Compile Package Failure (exit code: %d): %s", exit.ExitCode(), out) //nolint:staticcheck // BOSH's text
	}
	if err != nil {
		return fmt.Errorf("Running packaging script: %w", err) //nolint:staticcheck // BOSH's text
	}
	return nil
}

// roomLeft refuses when the file system is nearly full: a compiler that fills
// it takes the agent with it.
func roomLeft(dir string) error {
	var fs unix.Statfs_t
	if err := unix.Statfs(dir, &fs); err != nil {
		return fmt.Errorf("cannot tell the room left in %s: %w", dir, err)
	}
	const full = 90
	used := fs.Blocks - fs.Bfree
	if total := used + fs.Bavail; total > 0 && used*100/total >= full {
		return fmt.Errorf("Compile Package Failure. Greater than %d%% is used (%d%%).", full, used*100/total) //nolint:staticcheck // BOSH's text
	}
	return nil
}

func (d *Dispatcher) storePackage(ctx context.Context, k compilation, dir, tarball string) (any, error) {
	out, err := os.OpenFile(tarball, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(blobstore.Pack(out, dir), out.Close()); err != nil {
		return nil, err
	}
	sha1, sha512, err := blobstore.Digests(tarball)
	if err != nil {
		return nil, err
	}
	result := map[string]string{"sha1": sha1}
	if k.upload != "" {
		result["sha1"] += ";sha512:" + sha512
		err = d.o.Blobs.Upload(ctx, k.upload, k.headers, tarball)
	} else {
		result["blobstore_id"], err = d.o.Blobs.Create(ctx, tarball)
	}
	if err != nil {
		return nil, fmt.Errorf("Uploading compiled package: %w", err) //nolint:staticcheck // BOSH's text
	}
	return map[string]any{"result": result}, nil
}

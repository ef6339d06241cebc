package stemcell

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	"github.com/microbosh/microbosh/pkg/messages"
	"github.com/microbosh/microbosh/pkg/stemcell"
)

// Formats that a disk can be written in.
const (
	QCOW2 = "qcow2" // compressed
	Raw   = "raw"
)

// Options say what to build.
type Options struct {
	Format string
	Suite  string          // of Debian, default bookworm
	Mirror string          // of Debian, default what apt is set to
	Cache  string          // folder for Debian's tar, made when missing
	Fresh  bool            // fetch Debian anew although the cache has it
	Files  []stemcell.File // over Debian, beside System
	Say    func(string)    // told what is done next; nil: nobody
}

const (
	suite         = "bookworm"
	defaultMirror = "http://deb.debian.org/debian"
)

// Tools are the programs that a build calls, and the Debian packages they are in.
var tools = map[string]string{
	"debootstrap": "debootstrap", "unshare": "util-linux", "mke2fs": "e2fsprogs", "debugfs": "e2fsprogs", "tune2fs": "e2fsprogs",
	"e2fsck": "e2fsprogs", "sfdisk": "fdisk", "extlinux": "extlinux", "qemu-img": "qemu-utils",
}

// Missing are the Debian packages without which a build cannot be made here.
func Missing() []string {
	seen := map[string]bool{}
	var names []string
	for tool, name := range tools {
		if _, err := exec.LookPath(tool); err != nil && !seen[name] {
			seen[name] = true
			names = append(names, name)
		}
	}
	return names
}

func (o Options) check() error {
	switch {
	case o.Format != QCOW2 && o.Format != Raw:
		return messages.Errorf(messages.CodeUsage, "cannot build a disk in format %q: there are %s and %s", o.Format, QCOW2, Raw)
	case o.Cache == "":
		return errors.New("cannot build a disk without a folder for the cache")
	case runtime.GOARCH != "amd64" || runtime.GOOS != "linux":
		return messages.Errorf(messages.CodeNotSupported, "cannot build a disk on %s/%s: the recipe is for linux/amd64", runtime.GOOS, runtime.GOARCH)
	case os.Geteuid() != 0:
		return messages.Errorf(messages.CodeUsage, "cannot build a disk: it takes root, for mounts and chroot").WithHint("run the command again with sudo")
	}
	if missing := Missing(); len(missing) > 0 {
		return messages.Errorf(messages.CodeStemcellMissing, "cannot build a disk: tools are not installed").
			WithHint("on Debian: apt-get install --no-install-recommends %s", strings.Join(missing, " "))
	}
	return nil
}

// Disk writes a bootable disk to a file.
func Disk(ctx context.Context, o Options, output string) error {
	if o.Suite == "" {
		o.Suite = suite
	}
	if o.Say == nil {
		o.Say = func(string) {}
	}
	if err := o.check(); err != nil {
		return err
	}
	if o.Mirror == "" {
		o.Mirror = mirror(ctx)
	}
	dir, err := os.MkdirTemp("", "microbosh-stemcell-")
	if err != nil {
		return fmt.Errorf("cannot build a disk: %w", err)
	}
	defer os.RemoveAll(dir)
	if err := scripts(dir); err != nil {
		return err
	}
	base, err := o.base(ctx, dir)
	if err != nil {
		return err
	}
	files, err := System()
	if err != nil {
		return err
	}
	over := filepath.Join(dir, "overlay.tar")
	if err := writeTar(over, append(files, o.Files...)); err != nil {
		return err
	}
	o.Say("making the disk")
	return run(ctx, filepath.Join(dir, "image"), base, over, o.Format, output)
}

// base gives Debian's tar, from the cache when it is there.
func (o Options) base(ctx context.Context, dir string) (string, error) {
	name, err := baseName(o.Suite, o.Mirror)
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(o.Cache, 0o755); err != nil {
		return "", fmt.Errorf("cannot make the cache: %w", err)
	}
	path := filepath.Join(o.Cache, name)
	if _, err := os.Stat(path); err == nil && !o.Fresh {
		return path, nil
	}
	names, err := packages()
	if err != nil {
		return "", err
	}
	o.Say(fmt.Sprintf("installing Debian (%s) from %s", o.Suite, o.Mirror))
	if err := run(ctx, filepath.Join(dir, "base"), o.Suite, o.Mirror, strings.Join(names, ","), path); err != nil {
		return "", err
	}
	return path, nil
}

func writeTar(path string, files []stemcell.File) error {
	out, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("cannot write the overlay: %w", err)
	}
	buffered := bufio.NewWriterSize(out, 1<<20)
	if err := errors.Join(stemcell.RootTar(files)(buffered), buffered.Flush(), out.Close()); err != nil {
		return fmt.Errorf("cannot write the overlay: %w", err)
	}
	return nil
}

// mirror is the one that apt fetches Debian from.
func mirror(ctx context.Context) string {
	out, err := exec.CommandContext(ctx, "apt-get", "indextargets", "--format", "$(REPO_URI) $(ORIGIN) $(LABEL)", "Created-By: Packages").Output()
	if err != nil {
		return defaultMirror
	}
	for line := range strings.Lines(string(out)) {
		if f := strings.Fields(line); len(f) == 3 && f[1] == "Debian" && f[2] == "Debian" {
			return strings.TrimSuffix(f[0], "/")
		}
	}
	return defaultMirror
}

// run runs a script of the recipe in mount and process namespaces of its own:
// nothing of it outlives the command.
func run(ctx context.Context, script string, args ...string) error {
	cmd := exec.CommandContext(ctx, "unshare", append([]string{"--mount", "--pid", "--fork", "--kill-child", script}, args...)...)
	var said tail
	cmd.Stdout, cmd.Stderr = &said, &said
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	cmd.WaitDelay = 10 * time.Second
	runtime.LockOSThread() // the kernel looks at the thread that started the command
	defer runtime.UnlockOSThread()
	err := cmd.Run()
	switch {
	case ctx.Err() != nil:
		return messages.Errorf(messages.CodeInterrupted, "interrupted")
	case err != nil:
		return messages.Errorf(messages.CodeStemcellInvalid, "cannot build the stemcell's disk: %s: %w\n%s", filepath.Base(script), err, said.String()).
			WithHint("the lines above are the end of what the tools said; a mirror that cannot be reached is named with --mirror")
	}
	return nil
}

// tail keeps the end of what is written.
type tail struct{ buffer bytes.Buffer }

const keep = 2 << 10

func (t *tail) Write(p []byte) (int, error) {
	t.buffer.Write(p)
	if over := t.buffer.Len() - keep; over > keep {
		t.buffer.Next(over)
	}
	return len(p), nil
}

func (t *tail) String() string {
	text := t.buffer.Bytes()
	return string(bytes.TrimSpace(text[max(0, len(text)-keep):]))
}

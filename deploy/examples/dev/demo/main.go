// Command demo deploys a micro BOSH into a small cloud on this machine, asks
// for it, deletes it again and makes sure that nothing is left. With KEEP=1 it
// keeps everything up and says what to try, with STEMCELL it deploys that one.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
)

func main() {
	// The kernel ends `microbosh dev` when the thread that started it ends: this
	// one lives as long as the demo.
	runtime.LockOSThread()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Getenv("KEEP") == "1"); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, keep bool) (err error) {
	bin, err := filepath.Abs("bin")
	if err != nil {
		return err
	}
	d := &demo{microbosh: filepath.Join(bin, "microbosh"), keep: keep}
	if d.dir, err = folder(keep); err != nil {
		return err
	}
	if !keep {
		defer func() { err = errors.Join(err, os.RemoveAll(d.dir)) }()
	}
	if !d.runs() {
		if err := d.start(ctx); err != nil {
			return err
		}
	}
	if !keep {
		defer func() { err = errors.Join(err, d.stop()) }()
	}
	stemcell := os.Getenv("STEMCELL")
	if stemcell == "" {
		stemcell = filepath.Join(d.dir, "microbosh-openstack-dev.tgz")
		if err := d.call(ctx, "stemcell", "build", "--output", stemcell); err != nil {
			return err
		}
	}
	if err := d.manifest("deploy/examples/dev/micro_bosh.yml"); err != nil {
		return err
	}
	if err := d.call(ctx, "deploy", stemcell, "--update-if-exists", "--yes"); err != nil {
		return err
	}
	if err := d.call(ctx, "status"); err != nil {
		return err
	}
	if keep {
		d.explain()
		return nil
	}
	if err := d.call(ctx, "delete", "--yes"); err != nil {
		return err
	}
	return d.empty(ctx)
}

// folder is a new one each time, or the one that is kept.
func folder(keep bool) (string, error) {
	if !keep {
		return os.MkdirTemp("", "microbosh-demo-")
	}
	dir, err := filepath.Abs(".demo")
	if err != nil {
		return "", err
	}
	return dir, os.MkdirAll(dir, 0o700)
}

// call runs one microbosh command in sight.
func (d *demo) call(ctx context.Context, args ...string) error {
	fmt.Println("\n$ microbosh " + strings.Join(args, " "))
	cmd := exec.CommandContext(ctx, d.microbosh, args...)
	cmd.Dir, cmd.Env = d.dir, d.env()
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	if err := cmd.Run(); err != nil {
		if ctx.Err() == nil {
			d.logs()
		}
		return fmt.Errorf("cannot %s: %w", args[0], err)
	}
	return nil
}

func (d *demo) env() []string {
	return append(os.Environ(), "MICROBOSH_MANIFEST="+filepath.Join(d.dir, "micro_bosh.yml"), "MICROBOSH_BUS=", "MICROBOSH_KEYS=")
}

func (d *demo) explain() {
	nats := "nats --server " + d.ready.Bus + " --nkey " + filepath.Join(d.ready.Keys, "ops.nk")
	fmt.Printf(`
It stays up. Try:
  export MICROBOSH_MANIFEST=%s
  %s status
  %s sub 'bosh.v1.>'
  %s deploy %s --update --recreate --yes
  %s delete
Stop it:
  kill %d
`, filepath.Join(d.dir, "micro_bosh.yml"), d.microbosh, nats, d.microbosh, filepath.Join(d.dir, "microbosh-openstack-dev.tgz"),
		d.microbosh, d.ready.PID)
}

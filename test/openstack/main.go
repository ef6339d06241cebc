package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
)

const usage = "usage: openstack up|down [folder]   (default $MICROBOSH_OPENSTACK_DIR, else microbosh-openstack in the folder for temporary files)"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "openstack:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	dir := os.Getenv("MICROBOSH_OPENSTACK_DIR")
	if dir == "" {
		dir = filepath.Join(os.TempDir(), "microbosh-openstack")
	}
	if len(args) == 2 {
		dir = args[1]
	}
	if len(args) == 1 || len(args) == 2 {
		switch args[0] {
		case "up":
			return up(ctx, dir)
		case "down":
			return down(dir)
		}
	}
	return fmt.Errorf("%s", usage)
}

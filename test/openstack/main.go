package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
)

const usage = "usage: openstack [--level api|vm] up|down [folder]   (default $MICROBOSH_OPENSTACK_DIR, else microbosh-openstack in the folder for temporary files)"

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
	level := ""
	if len(args) > 1 && args[0] == "--level" {
		level, args = args[1], args[2:]
	}
	if len(args) == 2 {
		dir = args[1]
	}
	if len(args) == 1 || len(args) == 2 {
		switch args[0] {
		case "up":
			return up(ctx, dir, level)
		case "down":
			return down(dir)
		}
	}
	return fmt.Errorf("%s", usage)
}

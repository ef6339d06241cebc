// Command devcloud runs the small OpenStack of package devcloud.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"github.com/microbosh/microbosh/deploy/devcloud"
	"github.com/microbosh/microbosh/deploy/devcloud/rootless"
	"github.com/microbosh/microbosh/pkg/daemon"
)

func main() {
	rootless.Keep()
	listen := flag.String("listen", "127.0.0.1:0", "address of the API")
	dir := flag.String("dir", "devcloud", "folder for images, volumes and servers")
	passwords := flag.String("password-file", "", "file with the password of the user admin (default: a random one)")
	latency := flag.Duration("latency", 0, "how long servers and volumes take")
	subnet := flag.String("subnet", "127.20.0.0/16", "addresses of servers")
	noBoot := flag.Bool("no-boot", false, "servers become ACTIVE and boot nothing")
	flag.Parse()
	os.Exit(daemon.Main("devcloud", func(ctx context.Context, log zerolog.Logger) error {
		return run(ctx, log, *listen, *dir, *passwords, *subnet, *latency, *noBoot)
	}))
}

func run(ctx context.Context, log zerolog.Logger, listen, dir, passwords, subnet string, latency time.Duration, noBoot bool) error {
	prefix, err := netip.ParsePrefix(subnet)
	if err != nil {
		return fmt.Errorf("cannot read --subnet: %w", err)
	}
	password := ""
	if passwords != "" {
		b, err := os.ReadFile(passwords)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("cannot read the password: %w", err)
		}
		password = strings.TrimSpace(string(b))
	}
	o := devcloud.Options{Listen: listen, Dir: dir, Password: password, Latency: latency, Subnet: prefix, Log: log}
	if !noBoot {
		if o.Hypervisor, err = rootless.New(); err != nil {
			return err
		}
	}
	cloud, err := devcloud.New(o)
	if err != nil {
		return err
	}
	if passwords != "" && password == "" {
		if err := os.WriteFile(passwords, []byte(cloud.Password()+"\n"), 0o600); err != nil {
			return fmt.Errorf("cannot write the password: %w", err)
		}
	}
	if err := cloud.WriteFiles(); err != nil {
		return err
	}
	log.Info().Str("url", cloud.URL()).Msg("serving")
	if err := daemon.Ready(); err != nil {
		log.Warn().Err(err).Msg("readiness not told")
	}
	return cloud.Run(ctx)
}

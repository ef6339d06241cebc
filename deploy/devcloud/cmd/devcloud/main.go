// Command devcloud runs the small OpenStack of package devcloud.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"

	"github.com/rs/zerolog"

	"github.com/microbosh/microbosh/deploy/devcloud/namespace"
	"github.com/microbosh/microbosh/deploy/devcloud/rootless"
	"github.com/microbosh/microbosh/pkg/daemon"
)

func main() {
	rootless.Keep()
	namespace.Init()
	var s settings
	flag.StringVar(&s.listen, "listen", "", "address of the API (default 127.0.0.1 with the port of the last start, else a free one)")
	flag.StringVar(&s.dir, "dir", "devcloud", "folder for images, volumes and servers")
	flag.StringVar(&s.passwordFile, "password-file", "", "file with the password of the user admin, made when missing (default: password in the folder)")
	flag.DurationVar(&s.latency, "latency", 0, "how long resources stay in each passing state")
	flag.StringVar(&s.subnet, "subnet", "127.20.0.0/16", "addresses of servers")
	flag.BoolVar(&s.noBoot, "no-boot", false, "servers become ACTIVE and boot nothing")
	flag.BoolVar(&s.noQuota, "no-quota", false, "the project may have as much as it likes")
	flag.StringVar(&s.hypervisor, "hypervisor", auto, "what servers are: namespace (as root, in a network of its own), rootless, or auto")
	network := flag.Bool("network", false, "run the command that follows in a network of its own, where servers can be namespaces")
	flag.Parse()
	if *network {
		code, err := namespace.Enter(flag.Args())
		if err != nil {
			fmt.Fprintln(os.Stderr, "devcloud:", err)
			os.Exit(1)
		}
		os.Exit(code)
	}
	os.Exit(daemon.Main("devcloud", func(ctx context.Context, log zerolog.Logger) error { return run(ctx, log, s) }))
}

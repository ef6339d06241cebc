package cli

import (
	"context"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"github.com/microbosh/microbosh/pkg/bus/embed"
	"github.com/microbosh/microbosh/pkg/daemon"
)

func (a *app) busCommand() *cobra.Command {
	var o embed.Options
	cmd := &cobra.Command{
		Use:   "bus --dir DIR",
		Short: "run the embedded bus in a state folder",
		Args:  usageArgs(cobra.NoArgs),
		RunE: func(*cobra.Command, []string) error {
			if o.Dir == "" {
				return usage("bus needs --dir")
			}
			return daemonResult(daemon.Main("bus", func(ctx context.Context, log zerolog.Logger) error {
				o.Host, o.Log = a.host, log
				server, err := embed.Start(ctx, o)
				if err != nil {
					return err
				}
				defer server.Close()
				log.Info().Str("url", server.URL()).Msg("the bus is up")
				if err := daemon.Ready(); err != nil {
					return err
				}
				<-ctx.Done()
				return nil
			}))
		},
	}
	cmd.Flags().StringVar(&o.Dir, "dir", "", "the state folder")
	cmd.Flags().IntVar(&o.Port, "port", 0, "port to listen on (0 = the one of the last start, else a free one)")
	return cmd
}

package agent

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"net/url"
	"time"

	"github.com/microbosh/microbosh/pkg/messages"
	"github.com/microbosh/microbosh/services/agent/internal/bootstrap"
)

// Config is what the command line says.
type Config struct {
	Configure      bool
	AgentID        string
	Base           string
	LogLevel       string
	Mbus           string
	Blobstore      messages.Blobstore
	Infrastructure string
	Platform       string
	Root           string
	Alerts         bool
	SMTPPort       int
	Heartbeat      time.Duration // 0: none but the first
	Supervisor     string
	ConfigFile     string
	Metadata       string
	Version        bool

	Ready func() error // called when the agent is being listened to
}

// Parse reads the flags of the 2014 agent, those of today's, and --metadata.
func Parse(args []string, words io.Writer) (Config, error) {
	var c Config
	var provider, store string
	var noAlerts bool
	var beat, smtp int
	f := flag.NewFlagSet("bosh-agent", flag.ContinueOnError)
	f.SetOutput(words)
	f.BoolVar(&c.Configure, "c", false, "configure the machine (all steps of bootstrap)")
	f.StringVar(&c.AgentID, "a", bootstrap.NoAgentID, "agent id, when the settings have none")
	f.StringVar(&c.Base, "b", "/var/vcap", "base folder")
	f.StringVar(&c.LogLevel, "l", "", "log level (default: MICROBOSH_LOG, else info)")
	f.StringVar(&c.Mbus, "n", "nats://localhost:4222", "mbus, when the settings have none")
	f.StringVar(&provider, "p", "local", "blobstore provider, when the settings have none")
	f.StringVar(&store, "s", "", "blobstore URI, when the settings have none")
	f.StringVar(&c.Infrastructure, "I", "openstack", "infrastructure: openstack, aws, dummy")
	f.StringVar(&c.Platform, "P", "rootless", "platform: ubuntu, centos, debian, linux change this machine, rootless records")
	f.StringVar(&c.Root, "r", "", "root folder (default: what the base folder lies in)")
	f.IntVar(&smtp, "t", 2825, "SMTP port of monit's alerts; the builtin supervisor needs none, 0 is a free one")
	f.BoolVar(&noAlerts, "no-alerts", false, "send no alerts")
	f.IntVar(&beat, "h", int(messages.HeartbeatInterval.Seconds()), "seconds between heartbeats, 0 for none")
	f.StringVar(&c.Supervisor, "M", "builtin", "supervisor: builtin, or monit, which must be installed")
	f.StringVar(&c.ConfigFile, "C", "", "agent.json that names the sources of settings")
	f.StringVar(&c.Metadata, "metadata", "", "URL of the metadata service (default http://169.254.169.254)")
	f.BoolVar(&c.Version, "v", false, "print the version")
	if err := f.Parse(args); err != nil {
		return c, err
	}
	if f.NArg() > 0 {
		return c, fmt.Errorf("cannot use the argument %q: there are only flags", f.Arg(0))
	}
	const longest = 24 * 60 * 60
	if smtp < 0 || smtp > math.MaxUint16 {
		return c, errors.New("cannot use -t: it is no port")
	}
	if beat < 0 || beat > longest {
		return c, errors.New("cannot use -h: it is a number of seconds")
	}
	c.Configure = c.Configure || c.ConfigFile != "" // as today's command line means it
	c.SMTPPort = smtp
	c.Alerts, c.Heartbeat = !noAlerts, time.Duration(beat)*time.Second
	switch c.Supervisor {
	case "builtin", "monit", "dummy", "dummy-nats":
	default:
		return c, fmt.Errorf("supervisor '%s' not found: this agent knows 'builtin' and 'monit'", c.Supervisor)
	}
	options, err := blobstoreOptions(store)
	if err != nil {
		return c, err
	}
	c.Blobstore = messages.Blobstore{Provider: provider, Options: options}
	return c, nil
}

// blobstoreOptions reads -s as the 2014 agent did: a file or no scheme is a
// path, anything else an endpoint with its credentials.
func blobstoreOptions(uri string) (map[string]any, error) {
	options := map[string]any{}
	if uri == "" {
		return options, nil
	}
	u, err := url.Parse(uri)
	if err != nil {
		return nil, errors.New("cannot use -s: it is no URI") // the cause would show a password
	}
	if u.Scheme == "" || u.Scheme == "file" {
		options["blobstore_path"] = u.Path
		return options, nil
	}
	if u.User != nil {
		options["user"] = u.User.Username()
		options["password"], _ = u.User.Password()
		u.User = nil
	}
	options["endpoint"] = u.String()
	return options, nil
}

package linux

import (
	"context"
	"fmt"
	"strings"

	"github.com/microbosh/microbosh/services/agent/internal/platform"
)

// SetTime tells the machine's clock keeper its servers: chrony, else systemd's,
// else the stemcell's own wrapper of ntpdate.
func (l *Linux) SetTime(ctx context.Context, servers []string) error {
	for _, s := range servers {
		if s == "" || strings.ContainsAny(s, " \t\r\n#") {
			return fmt.Errorf("cannot use the NTP server %q: it is no host", s)
		}
	}
	all := strings.Join(servers, " ")
	if _, err := put(l.dir.Bosh("etc", "ntpserver"), all, 0o644, 0, 0); err != nil {
		return err
	}
	if l.container {
		return l.record("update_time", platform.Change{What: "the clock is the host's; in a virtual machine it would follow " + all})
	}
	changed, restart, err := l.timeKeeper(servers)
	if err != nil || restart == nil {
		return err
	}
	l.log.Debug().Bool("changed", changed).Strs("run", restart).Msg("NTP servers set")
	if _, err := run(ctx, "", restart[0], restart[1:]...); err != nil {
		// As in the original: a clock that is off is no reason to have no VM.
		l.log.Warn().AnErr("err", err).Msg("the clock is not told of its servers yet")
	}
	return nil
}

// timeKeeper writes the keeper's file and names what makes it read that.
func (l *Linux) timeKeeper(servers []string) (changed bool, restart []string, err error) {
	switch {
	case exists("/etc/chrony/chrony.conf"):
		changed, err = put("/etc/chrony/sources.d/bosh.sources", chronyFile(servers), 0o644, 0, 0)
		return changed, []string{"chronyc", "reload", "sources"}, err
	case exists("/etc/chrony.conf"):
		changed, err = put("/etc/chrony.d/bosh.conf", chronyFile(servers), 0o644, 0, 0)
		return changed, []string{"systemctl", "try-restart", "chronyd"}, err
	case exists("/lib/systemd/systemd-timesyncd") || exists("/usr/lib/systemd/systemd-timesyncd"):
		changed, err = put("/etc/systemd/timesyncd.conf.d/bosh.conf", timesyncdFile(servers), 0o644, 0, 0)
		return changed, []string{"systemctl", "try-restart", "systemd-timesyncd"}, err
	}
	if _, ok := which("ntpdate"); ok {
		return true, append([]string{"ntpdate"}, servers...), nil
	}
	l.log.Warn().Msg("nothing keeps the clock: install chrony")
	return false, nil, nil
}

// chronyFile is a file of chrony's sources or of its configuration.
func chronyFile(servers []string) string {
	var out strings.Builder
	for _, s := range servers {
		out.WriteString("server " + s + " iburst\n")
	}
	return out.String()
}

// timesyncdFile is one of /etc/systemd/timesyncd.conf.d.
func timesyncdFile(servers []string) string {
	return "[Time]\nNTP=" + strings.Join(servers, " ") + "\n"
}

package supervisor

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestParseMonitrc(t *testing.T) {
	t.Parallel()
	const timeout = 30 * time.Second
	cases := map[string]struct {
		text    string
		want    []service
		skipped int
	}{
		"a job as releases write it": {
			text: `# the director
check process director
  with pidfile /var/vcap/sys/run/director/director.pid
  start program "/var/vcap/jobs/director/bin/director_ctl start" with timeout 60 seconds
  stop program "/var/vcap/jobs/director/bin/director_ctl stop"
  group vcap
  depends on postgres, nats
  mode manual
`,
			want: []service{{
				Name: "director", PIDFile: "/var/vcap/sys/run/director/director.pid", Group: "vcap", Manual: true,
				Start:   command{[]string{"/var/vcap/jobs/director/bin/director_ctl", "start"}, time.Minute},
				Stop:    command{[]string{"/var/vcap/jobs/director/bin/director_ctl", "stop"}, timeout},
				Depends: []string{"postgres", "nats"},
			}},
		},
		"tests, users and a second process": {
			text: `check process a with pidfile /run/a.pid
  start program = "/bin/a" as uid vcap and gid vcap
  if failed port 80 protocol http then restart
  if totalmem > 500 Mb for 5 cycles then alert else if succeeded then alert
  if 5 restarts within 5 cycles then timeout
  group vcap
check file f with path /etc/passwd
  if failed permission 600 then alert
  group none
check process b pidfile /run/b.pid
  start "/bin/b"
  stop "/bin/b stop"
`,
			want: []service{
				{Name: "a", PIDFile: "/run/a.pid", Group: "vcap", Start: command{[]string{"/bin/a"}, timeout}},
				{Name: "b", PIDFile: "/run/b.pid", Start: command{[]string{"/bin/b"}, timeout}, Stop: command{[]string{"/bin/b", "stop"}, timeout}},
			},
			skipped: 6,
		},
		"nothing": {text: "\n# only words\n"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, skipped, err := parseMonitrc(c.text)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
			if len(skipped) != c.skipped {
				t.Errorf("skipped %q, want %d", skipped, c.skipped)
			}
		})
	}
}

func TestParseMonitrcRefuses(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"no pidfile":       `check process a start program "/bin/a"`,
		"no start program": `check process a with pidfile /run/a.pid`,
		"open quotation":   `check process a with pidfile "/run/a.pid`,
		"no name":          `check process`,
		"empty program":    `check process a with pidfile /a start program " "`,
		"timeout":          `check process a with pidfile /a start program "/a" timeout soon`,
	} {
		if got, _, err := parseMonitrc(text); err == nil {
			t.Errorf("%s: got %+v", name, got)
		}
	}
}

func FuzzParseMonitrc(f *testing.F) {
	f.Add(`check process a with pidfile /a start program "/a" timeout 3 seconds if x then y else if z then`)
	f.Add("if then")
	f.Fuzz(func(t *testing.T, text string) {
		services, _, err := parseMonitrc(text)
		if err == nil && strings.TrimSpace(text) == "" && len(services) > 0 {
			t.Error("services out of nothing")
		}
	})
}

package e2e_test

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/microbosh/microbosh/test/lab"
)

var update = flag.Bool("update", false, "write the golden files anew")

// TestTerminal deploys in a real terminal of several widths: a deploy that the
// cloud keeps waiting, left with Ctrl-C and followed again. What a person sees
// is kept in testdata/terminal: read the files when they change.
func TestTerminal(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("tmux"); err != nil {
		t.Skip("there is no tmux here: `make deps-root` installs it")
	}
	for _, width := range []int{40, 80, 200} {
		t.Run(fmt.Sprint(width), func(t *testing.T) {
			t.Parallel()
			l := lab.New(t, lab.Options{Quiet: true})
			l.BuildStemcell()
			l.Faults(lab.Fault{Mode: "hold", Method: "POST", Path: "/servers$", Count: 1})
			p := newPane(t, l, width, `trap : INT
microbosh deploy dev.tgz --yes; echo "exit code $?"
read again; clear; tmux clear-history
microbosh watch; echo "exit code $?"
read again; clear; tmux clear-history
TERM=dumb microbosh delete --yes; echo "exit code $?"
exec cat`)
			l.Held()
			var seen strings.Builder
			step := func(name, until string) {
				t.Helper()
				fmt.Fprintf(&seen, "== %s\n%s", name, p.until(until))
			}
			step("the cloud lets the create wait", "waiting for the cloud")
			if width == 80 {
				p.tmux("resize-window", "-t", "0", "-x", "60")
				step("in a window that became narrower", "VM from [0-9a-f-]+[.]{3}  ")
				p.tmux("resize-window", "-t", "0", "-x", "80")
			}
			p.tmux("send-keys", "-t", "0", "C-c")
			step("after Ctrl-C", "exit code 130")
			p.tmux("send-keys", "-t", "0", "Enter")
			p.until("Ctrl-C detaches; the create goes on")
			l.Release()
			step("watched to its end", "exit code 0")
			p.tmux("send-keys", "-t", "0", "Enter")
			step("deleted in a dumb terminal", "to complete\nexit code 0")
			terminalGolden(t, fmt.Sprintf("%d.txt", width), seen.String())
		})
	}
}

// pane is a terminal.
type pane struct {
	t      *testing.T
	socket string
}

func newPane(t *testing.T, l *lab.Lab, width int, script string) *pane {
	t.Helper()
	dir, err := os.MkdirTemp("", "tmux") // a socket's path must be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	file := filepath.Join(l.Dir, "script.sh")
	if err := os.WriteFile(file, []byte(script), 0o600); err != nil {
		t.Fatal(err)
	}
	p := &pane{t: t, socket: filepath.Join(dir, "s")}
	cmd := l.Command(t.Context(), "version")
	tmux := exec.Command("tmux", "-f", "/dev/null", "-S", p.socket, "new-session", "-d", "-x", fmt.Sprint(width), "-y", "45", "sh "+file)
	tmux.Dir = l.Dir
	tmux.Env = append(cmd.Env, "PATH="+lab.Programs(t)+string(os.PathListSeparator)+os.Getenv("PATH"), "NO_COLOR=", "LC_ALL=C.UTF-8")
	if out, err := tmux.CombinedOutput(); err != nil {
		t.Fatalf("cannot start tmux: %v\n%s", err, out)
	}
	t.Cleanup(func() { _ = exec.Command("tmux", "-S", p.socket, "kill-server").Run() })
	return p
}

func (p *pane) tmux(args ...string) string {
	p.t.Helper()
	out, err := exec.Command("tmux", append([]string{"-S", p.socket}, args...)...).CombinedOutput()
	if err != nil {
		p.t.Fatalf("tmux %v: %v\n%s", args, err, out)
	}
	return string(out)
}

// until gives the screen and what scrolled out of it once a pattern shows. A terminal tells nobody that it
// changed, so it is looked at again and again.
func (p *pane) until(text string) string {
	p.t.Helper()
	shows := regexp.MustCompile(text)
	deadline := time.After(time.Minute)
	again := time.NewTicker(50 * time.Millisecond)
	defer again.Stop()
	for {
		screen := p.tmux("capture-pane", "-p", "-J", "-S", "-", "-t", "0")
		if shows.MatchString(screen) {
			return strings.TrimRight(screen, "\n") + "\n"
		}
		select {
		case <-again.C:
		case <-deadline:
			p.t.Fatalf("%q does not come to the screen:\n%s", text, screen)
		}
	}
}

// normal takes out what differs from run to run, and keeps how long it is where
// lines are cut.
func normal(s string) string {
	for _, n := range []struct{ pattern, to string }{
		{`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`, "00000000-0000-0000-0000-000000000000"},
		{`VM from [0-9a-f-]+`, "VM from 00000000"},
		{`\d\d:\d\d:\d\d`, "00:00:00"},
		{`\((<1ms|\d+ms|[\d.]+s|\d+m\d\ds)\)`, "(0s)"},
	} {
		s = regexp.MustCompile(n.pattern).ReplaceAllString(s, n.to)
	}
	return s
}

func terminalGolden(t *testing.T, name, seen string) {
	t.Helper()
	got, path := normal(seen), filepath.Join("testdata", "terminal", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s: %s", name, diff)
	}
}

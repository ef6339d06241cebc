package e2e_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/microbosh/microbosh/test/lab"
)

// TestDocs runs every command of these pages, in their order, as somebody would
// who follows them with a `microbosh dev` in another terminal. How-tos begin
// where something is deployed.
func TestDocs(t *testing.T) {
	t.Parallel()
	for page, before := range map[string][]command{
		"tutorial.md": nil, "howto-resume.md": deployed, "howto-debug-vm.md": deployed,
	} {
		t.Run(page, func(t *testing.T) {
			t.Parallel()
			dir, bin := t.TempDir(), lab.Programs(t)
			follow(t, page, dir, bin, before)
		})
	}
}

var deployed = []command{
	{"microbosh deployment micro_bosh.yml", "0"}, {"microbosh stemcell build", "0"},
	{"microbosh deploy microbosh-openstack-dev.tgz --yes", "0"},
}

// command is one of a page, and the exit code that it says.
type command struct{ line, code string }

func follow(t *testing.T, page, dir, bin string, before []command) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", page))
	if err != nil {
		t.Fatal(err)
	}
	lab.Run(t, filepath.Join(dir, "dev"), filepath.Join(bin, "microbosh"), "dev", "--dir", dir)
	commands := commandsOf(string(text))
	if len(commands) < 4 {
		t.Fatalf("%s has only the commands %v", page, commands)
	}
	var script strings.Builder
	for _, c := range append(before, commands...) {
		fmt.Fprintf(&script, "%s\ncode=$?; [ $code = %s ] || { echo \"$(cat <<'END'\n%s\nEND\n) ended with $code\"; exit 1; }\n", c.line, c.code, c.line)
	}
	cmd := exec.CommandContext(t.Context(), "bash", "-c", script.String())
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "HOME="+dir, "XDG_CONFIG_HOME=", "PATH="+bin+string(os.PathListSeparator)+os.Getenv("PATH"))
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%s cannot be followed: %v\n%s", page, err, out)
	}
}

var exitCode = regexp.MustCompile(`\s+# exit code (\d+)$`)

// commandsOf are the lines that begin with $ in blocks of kind console. What is
// done once (setup), or in another terminal, the test has done.
func commandsOf(page string) []command {
	var out []command
	inside := false
	for line := range strings.Lines(page) {
		line = strings.TrimSpace(line)
		if kind, fence := strings.CutPrefix(line, "```"); fence {
			inside = kind == "console"
			continue
		}
		text, ok := strings.CutPrefix(line, "$ ")
		if !inside || !ok {
			continue
		}
		c := command{text, "0"}
		if m := exitCode.FindStringSubmatch(text); m != nil {
			c = command{strings.TrimSuffix(text, m[0]), m[1]}
		}
		out = append(out, c)
	}
	return out
}

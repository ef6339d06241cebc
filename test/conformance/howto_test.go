package conformance_test

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/microbosh/microbosh/deploy/devcloud"
	"github.com/microbosh/microbosh/deploy/devcloud/cloudtest"
	"github.com/microbosh/microbosh/deploy/devcloud/rootless"
	"github.com/microbosh/microbosh/pkg/messages"
	"github.com/microbosh/microbosh/test/lab"
)

// TestHowTo does what docs/openstack.md tells a person to type, in its order,
// with nothing put in but who, where and which network; once more with the
// stemcell on the web.
func TestHowTo(t *testing.T) {
	t.Parallel()
	for name, web := range map[string]bool{"devcloud": false, "devcloud from the web": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			howToOnDevcloud(t, web)
		})
	}
}

// Not parallel: the stand-in boots every server that it sees.
func TestHowToOnOpenStack(t *testing.T) {
	if os.Getenv(real) == "" {
		t.Skip("there is no real OpenStack to deploy on; make test-openstack brings one up")
	}
	cloud := whole(t)
	standInFor(t, cloud)
	howTo(t, cloud, false)
}

func howToOnDevcloud(t *testing.T, web bool) {
	hyper, err := rootless.New(rootless.Options{Log: zerolog.Nop()})
	if err != nil {
		t.Fatal(err)
	}
	cloud := cloudtest.Start(t, func(o *devcloud.Options) { o.Hypervisor = hyper })
	howTo(t, target{
		AuthURL: cloud.AuthURL(), Username: devcloud.User, Password: cloud.Password(), Project: devcloud.Project, Private: subnet{ID: cloud.NetworkID()},
	}, web)
	if left := cloud.Inventory(); !left.Empty() {
		t.Errorf("the cloud still holds %+v", left)
	}
}

func howTo(t *testing.T, cloud target, web bool) {
	dir := t.TempDir()
	bin := lab.Programs(t)
	put := strings.NewReplacer("AUTH_URL", cloud.AuthURL, "USERNAME", cloud.Username, "PASSWORD", cloud.Password, "PROJECT", cloud.Project, "NET_ID", cloud.Private.ID)
	var commands []string
	for _, block := range shown(t, "../../docs/openstack.md", "## Deploy on an OpenStack") {
		first, rest, _ := strings.Cut(block, "\n")
		if name, file := strings.CutPrefix(first, "# "); file {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(put.Replace(rest)), 0o600); err != nil {
				t.Fatal(err)
			}
			continue
		}
		for line := range strings.Lines(block) {
			command, is := strings.CutPrefix(strings.TrimSpace(line), "$ ")
			if !is {
				t.Fatalf("%q is neither a file nor a command", line)
			}
			commands = append(commands, command)
		}
	}
	if len(commands) < 6 {
		t.Fatalf("the page shows only %q", commands)
	}
	server := httptest.NewServer(http.FileServer(http.Dir(dir)))
	t.Cleanup(server.Close)
	for _, command := range commands {
		if web {
			command = strings.Replace(command, "deploy stemcell.tgz", "deploy "+server.URL+"/stemcell.tgz", 1)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
		cmd := exec.CommandContext(ctx, "sh", "-c", command)
		cmd.Dir, cmd.Stdin = dir, strings.NewReader("yes\n")
		cmd.Env = []string{"PATH=" + bin + ":/usr/bin:/bin", "HOME=" + dir, "TMPDIR=" + t.TempDir()}
		var out, log bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &log
		err := cmd.Run()
		cancel()
		if err != nil {
			t.Fatalf("%s: %v\n%s%s", command, err, &out, &log)
		}
		if strings.Contains(command, "preflight") {
			wellChecked(t, out.Bytes())
		}
	}
}

// shown are the indented blocks below a heading of a page.
func shown(t *testing.T, page, heading string) []string {
	t.Helper()
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	_, section, found := strings.Cut(string(text), heading+"\n")
	if !found {
		t.Fatalf("%s has no %q", page, heading)
	}
	section, _, _ = strings.Cut(section, "\n## ")
	var blocks []string
	for part := range strings.SplitSeq(section, "\n\n") {
		if part = strings.Trim(part, "\n"); strings.HasPrefix(part, "    ") {
			blocks = append(blocks, strings.ReplaceAll(part[4:], "\n    ", "\n"))
		}
	}
	return blocks
}

func wellChecked(t *testing.T, text []byte) {
	t.Helper()
	var answer struct {
		Result messages.PreflightReply
		Error  any
	}
	if err := json.Unmarshal(text, &answer); err != nil || answer.Error != nil || len(answer.Result.Checks) < 5 {
		t.Fatalf("preflight says %s (%v)", text, err)
	}
	for _, c := range answer.Result.Checks {
		if c.Error != nil {
			t.Errorf("preflight: %s: %v", c.Name, c.Error)
		}
	}
}

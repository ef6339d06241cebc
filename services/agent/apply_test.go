package main_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/microbosh/microbosh/pkg/messages"
)

// Today's way: templates come rendered in one archive, jobs have scripts.
func TestRenderedArchiveAndScripts(t *testing.T) {
	t.Parallel()
	v := newVM(t)
	v.boot()
	v.beat("")
	spec := v.spec(nil)
	rendered := v.blob("rendered-1", map[string]string{
		"web/monit": monit, "web/bin/ctl": ctl, "web/config/web.yml": "version: 1\n",
		"web/bin/pre-start": "#!/bin/sh\necho \"pre-start $WORD\"\n",
		"web/bin/drain":     "#!/bin/sh\ncd \"$(dirname \"$0\")/../../..\"\necho \"$@\" >> drained\ncase $1 in job_check_status) echo 0;; *) echo -0; esac\n",
		"web/bin/broken":    "#!/bin/sh\nexit 3\n",
	})
	spec["rendered_templates_archive"] = map[string]string{"sha1": rendered["sha1"], "blobstore_id": rendered["blobstore_id"]}
	spec["configuration_hash"] = "hash-1"
	spec["name"], spec["az"] = "web", "z1"

	v.want(v.run("prepare", "", spec), `"prepared"`)
	if _, err := os.Lstat(filepath.Join(v.base, "jobs", "web")); err == nil {
		t.Error("prepare has linked the job")
	}
	v.want(v.run("apply", "", spec), `"applied"`)
	for name, want := range map[string]string{"id": "i-1", "az": "z1", "name": "web", "deployment": "micro"} {
		v.file("instance/"+name, want, 0o644)
	}
	v.file("jobs/web/config/web.yml", "version: 1\n", 0o640)
	v.file("jobs/web/packages/greeting/bin/serve", "", 0)
	v.want(v.run("run_script", "", "pre-start", map[string]any{"env": map[string]string{"WORD": "hello"}}), `{}`)
	v.file("sys/log/web/pre-start.stdout.log", "pre-start hello\n", 0o600)
	v.want(v.run("run_script", "", "absent", map[string]any{}), `{}`)
	v.refused(v.run("run_script", "", "broken", map[string]any{}), "1 of 1 broken script(s) failed. Failed Jobs: web.")
	v.want(v.call("start"), `"started"`)
	v.want(v.run("drain", "", "update", spec), `0`)
	v.file("drained", "job_unchanged hash_unchanged\n", 0)
	v.refused(v.run("drain", "", "sideways"), "Unknown drain type sideways")
	v.want(v.run("stop", ""), `"stopped"`)

	// The next spec renders differently; the one before stays for one apply.
	old, err := filepath.EvalSymlinks(filepath.Join(v.base, "jobs", "web"))
	if err != nil {
		t.Fatal(err)
	}
	for _, version := range []string{"2", "3"} {
		rendered = v.blob("rendered-"+version, map[string]string{"web/monit": monit, "web/bin/ctl": ctl, "web/config/web.yml": "version: " + version + "\n"})
		spec["rendered_templates_archive"] = map[string]string{"sha1": rendered["sha1"], "blobstore_id": rendered["blobstore_id"]}
		v.want(v.run("apply", "", spec), `"applied"`)
		v.file("jobs/web/config/web.yml", "version: "+version+"\n", 0o640)
		if _, err := os.Stat(old); (err == nil) != (version == "2") {
			t.Errorf("after version %s the first one: %v", version, err)
		}
	}
	other := v.spec(nil)
	other["deployment"] = "other"
	v.refused(v.run("apply", "", other), "attempt to apply other to micro")
}

func (v *vm) file(name, want string, mode os.FileMode) {
	v.Helper()
	path := filepath.Join(v.base, name)
	got, err := os.ReadFile(path)
	if err != nil {
		v.Error(err)
		return
	}
	if want != "" && string(got) != want {
		v.Errorf("%s holds %q, want %q", name, got, want)
	}
	if info, err := os.Stat(path); err != nil || (mode != 0 && info.Mode().Perm() != mode) {
		v.Errorf("%s has mode %v %v, want %v", name, info.Mode(), err, mode)
	}
}

func TestApplyRefusesWhatItCannotTrust(t *testing.T) {
	t.Parallel()
	v := newVM(t)
	v.boot()
	v.beat("")
	erb := v.spec(map[string]string{"templates/ctl.sh": "<%= p('x') %>"})
	v.refused(v.run("apply", "", erb), "failed to process configuration template 'templates/ctl.sh'") // no property x, or no ruby
	changed := v.spec(nil)
	if err := os.WriteFile(filepath.Join(v.base, "micro_bosh", "data", "cache", "greeting"), []byte("other"), 0o600); err != nil {
		t.Fatal(err)
	}
	v.refused(v.run("apply", "", changed), "Failed to install package 'greeting': cannot use blob greeting: sha1 mismatch expected=")
	network := v.spec(nil)
	network["networks"] = map[string]any{"x": map[string]any{"type": "token-ring"}}
	v.refused(v.run("apply", "", network), "Unsupported network type 'token-ring', valid types are: vip, dynamic, manual")
	state := v.call("get_state")
	if !strings.Contains(string(state.Value), `"deployment":""`) {
		t.Errorf("a refused spec is the state: %s", state.Value)
	}
	v.want(v.run("apply", "", v.spec(nil)), `"applied"`)
}

// What fails after the links were made leaves the jobs of before.
func TestAFailedApplyChangesNothing(t *testing.T) {
	t.Parallel()
	v := newVM(t)
	v.boot()
	v.beat("")
	v.want(v.run("apply", "", v.version("1", "1")), `"applied"`)
	whole := v.installed()
	spec := v.version("2", "2")
	rendered := v.blob("rendered-bad", map[string]string{
		"web/monit": monit + "# bad\n", "web/bin/post_install": "#!/bin/sh\necho no room >&2\nexit 7\n", "side/config": "bad",
	})
	spec["rendered_templates_archive"] = map[string]string{"sha1": rendered["sha1"], "blobstore_id": rendered["blobstore_id"]}
	v.refused(v.run("apply", "", spec), "Hook post_install for web failed (exit status 7): stderr: no room")
	if now := v.installed(); now != whole {
		t.Errorf("got\n%s\nwant\n%s", now, whole)
	}
	rendered = v.blob("rendered-worse", map[string]string{"web/monit": "check process web\n  start program \"", "side/config": "worse"})
	spec["rendered_templates_archive"] = map[string]string{"sha1": rendered["sha1"], "blobstore_id": rendered["blobstore_id"]}
	v.refused(v.run("apply", "", spec), "cannot read the monit file 0001_bosh.web.monitrc")
	if now := v.installed(); now != whole {
		t.Errorf("got\n%s\nwant\n%s", now, whole)
	}
	v.want(v.call("start"), `"started"`)
	v.want(v.run("stop", ""), `"stopped"`)
}

func TestReleaseApplySpec(t *testing.T) {
	t.Parallel()
	v := newVM(t)
	v.boot()
	v.beat("")
	v.refused(v.call("release_apply_spec"), "apply_spec.json")
	if err := os.MkdirAll(filepath.Join(v.base, "micro"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(v.base, "micro", "apply_spec.json"), []byte(`{"deployment":"micro","index":0}`), 0o600); err != nil {
		t.Fatal(err)
	}
	v.want(v.call("release_apply_spec"), `{"deployment":"micro","index":0}`)
}

// The bus goes and comes back; the agent listens again and has lost nothing.
func TestBusRestarts(t *testing.T) {
	t.Parallel()
	v := newVM(t)
	v.boot()
	v.beat("")
	v.want(v.run("apply", "uid12345-apply-1", v.spec(nil)), `"applied"`)
	v.bus.Restart()
	v.want(v.pingUntilAnswered(), `"pong"`)
	v.want(v.call("start"), `"started"`)
	v.beat("running")
	v.want(v.run("apply", "uid12345-apply-1", v.spec(nil)), `"applied"`)
	v.want(v.run("stop", ""), `"stopped"`)
}

// pingUntilAnswered asks again as a Director does: who listens to a bus that
// has just started is not known.
func (v *vm) pingUntilAnswered() messages.AgentReply {
	v.Helper()
	ctx := v.ctx()
	for ctx.Err() == nil {
		if err := v.conn.Flush(ctx); err != nil {
			continue
		}
		if r, ok := v.within("ping"); ok {
			return r
		}
	}
	v.Fatal("nobody answers")
	return messages.AgentReply{}
}

// Where there is a ruby, the agent renders, and anew for another spec.
func TestERB(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("ruby"); err != nil {
		t.Skip("ruby is not installed: `make deps-root` installs Debian's")
	}
	v := newVM(t)
	v.boot()
	v.beat("")
	spec := v.spec(map[string]string{
		"job.MF":            "---\nname: web\ntemplates:\n  ctl.sh: bin/ctl\n  web.erb: config/web\n",
		"templates/web.erb": "<%= p('web.word') %> <%= name %>/<%= index %>\n",
	})
	for _, word := range []string{"one", "two"} {
		spec["properties"] = map[string]any{"web": map[string]string{"word": word}}
		v.want(v.run("apply", "", spec), `"applied"`)
		v.file("jobs/web/config/web", word+" bosh/0\n", 0o640)
	}
}

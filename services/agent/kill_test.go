package main_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// killAll is for who has changed what is killed: the points between have the
// same shape.
var killAll = flag.Bool("kill.all", false, "kill at every point, not at every third")

// Killed before every single change of an apply, the machine has the jobs,
// packages, monit files and spec of before, or those of after, when the agent is
// back.
func TestApplyKilledAtEveryPoint(t *testing.T) {
	t.Parallel()
	for name, sameTemplates := range map[string]bool{"other templates": false, "other packages": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			first, step := 1, 1
			if !*killAll {
				step = 3
				if sameTemplates {
					first = 2
				}
			}
			v := newVM(t)
			v.watched = true
			v.boot()
			v.beat("")
			specs := [2]map[string]any{v.version("1", "1"), v.version("2", "2")}
			if sameTemplates {
				specs[1] = v.version("1", "2")
			}
			var whole [2]string
			for _, i := range []int{1, 0, 0} {
				v.want(v.run("apply", "", specs[i]), `"applied"`)
				whole[i] = v.installed()
			}
			if whole[0] == whole[1] {
				t.Fatal("both specs install the same")
			}
			came := [2]int{}
			for n := first; ; n += step {
				before, killed := v.killAt(n, specs[1])
				if !killed {
					break
				}
				v.boot()
				v.beat("")
				now := v.installed()
				switch now {
				case whole[0]:
					came[0]++
				case whole[1]:
					came[1]++
				default:
					t.Fatalf("killed at change %d (%s) the machine has a mixture:\n%s\nbefore:\n%s\nafter:\n%s", n, before, now, whole[0], whole[1])
				}
				for range 2 { // the second one removes what the other spec has unpacked
					v.want(v.run("apply", "", specs[0]), `"applied"`)
				}
			}
			if v.installed() != whole[1] {
				t.Error("the last apply, which was not killed, installed something else")
			}
			if came[0] == 0 || came[1] == 0 {
				t.Errorf("of the kills %v left the old and the new set", came)
			}
			t.Logf("killed at %d changes, %d left the old set and %d the new one", came[0]+came[1], came[0], came[1])
		})
	}
}

// version is a spec of two jobs with the versions of templates and package.
func (v *vm) version(templates, packages string) map[string]any {
	spec := v.spec(nil)
	serve := v.blob("greeting-"+packages, map[string]string{"bin/serve": "#!/bin/sh\nexec sleep 86400 # " + packages + "\n"})
	serve["name"] = "greeting"
	spec["packages"] = map[string]any{"greeting": serve}
	rendered := v.blob("rendered-"+templates, map[string]string{
		"web/monit": monit + "# " + templates + "\n", "web/bin/ctl": ctl, "web/bin/post_install": "#!/bin/sh\nexit 0\n",
		"side/monit": "", "side/config": templates,
	})
	spec["rendered_templates_archive"] = map[string]string{"sha1": rendered["sha1"], "blobstore_id": rendered["blobstore_id"]}
	spec["job"] = map[string]any{"name": "bosh", "templates": []any{
		map[string]string{"name": "web", "version": "1"}, map[string]string{"name": "side", "version": "1"},
	}}
	spec["configuration_hash"] = "hash-" + templates + packages
	return spec
}

// killAt applies the spec and kills the agent before its n-th change from then;
// false when the apply ended before.
func (v *vm) killAt(n int, spec map[string]any) (before string, killed bool) {
	v.Helper()
	answered := v.ask("get_task", "", "none") // what came before is done
	v.answer("get_task", answered)
	v.changes.KillAt(n)
	first := v.ask("apply", "", spec)
	for {
		select {
		case err := <-v.ended:
			v.agent = nil
			killed, before := v.changes.Disarm()
			if !killed {
				v.Fatalf("the agent ended by itself: %v", err)
			}
			return before, true
		case r := <-first:
			if task := string(r.Value); strings.Contains(task, `"running"`) {
				var id string
				if _, err := fmt.Sscanf(task, `{"agent_task_id":%q`, &id); err != nil {
					v.Fatalf("got %s", task)
				}
				first = v.ask("get_task", "", id, map[string]string{"wait": "50s"})
				continue
			}
			v.want(r, `"applied"`)
			if killed, _ := v.changes.Disarm(); killed { // by what came after the answer
				<-v.ended
				v.agent = nil
				return "after the answer", true
			}
			return "", false
		case <-time.After(patience):
			v.Fatal("apply is not answered")
		}
	}
}

// installed is what the machine has, in words that can be compared.
func (v *vm) installed() string {
	v.Helper()
	var out strings.Builder
	for _, pattern := range []string{"jobs/*", "packages/*", "jobs/*/packages/*"} {
		paths, _ := filepath.Glob(filepath.Join(v.base, pattern))
		for _, path := range paths {
			to, err := filepath.EvalSymlinks(path)
			if err != nil {
				v.Fatalf("%s leads nowhere: %v", path, err)
			}
			fmt.Fprintln(&out, path, "->", to)
		}
	}
	files, _ := filepath.Glob(filepath.Join(v.base, "monit", "job", "*"))
	names, _ := filepath.Glob(filepath.Join(v.base, "instance", "[!h]*")) // health.json tells of processes
	for _, file := range append(append(files, names...), filepath.Join(v.base, "bosh", "spec.json")) {
		text, err := os.ReadFile(file)
		if err != nil {
			v.Fatal(err)
		}
		fmt.Fprintf(&out, "%s: %s\n", file, text)
	}
	return out.String()
}

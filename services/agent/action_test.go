package main_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha1"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/microbosh/microbosh/pkg/messages"
)

// file is one entry of an archive.
func (v *vm) entry(archive []byte, name string) string {
	v.Helper()
	zip, err := gzip.NewReader(bytes.NewReader(archive))
	if err != nil {
		v.Fatal(err)
	}
	for r := tar.NewReader(zip); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			v.Errorf("the archive has no %s", name)
			return ""
		}
		if err != nil {
			v.Fatal(err)
		}
		if strings.TrimPrefix(h.Name, "./") == name {
			content, err := io.ReadAll(r)
			if err != nil {
				v.Fatal(err)
			}
			return string(content)
		}
	}
}

func value[T any](v *vm, r messages.AgentReply) (out T) {
	v.Helper()
	if r.Exception != nil {
		v.Fatalf("refused: %s", r.Exception.Message)
	}
	return decode[T](v.T, r.Value)
}

func (v *vm) stored(id string) []byte {
	v.Helper()
	data, err := os.ReadFile(filepath.Join(v.base, "micro_bosh", "data", "cache", id))
	if err != nil {
		v.Fatal(err)
	}
	return data
}

func TestCompile(t *testing.T) {
	t.Parallel()
	v := newVM(t)
	v.boot()
	v.beat("")
	dep := v.blob("dep", map[string]string{"bin/tool": "#!/bin/sh\necho tooled\n"})
	source := v.blob("source", map[string]string{"packaging": `set -e
test "$BOSH_PACKAGE_NAME/$BOSH_PACKAGE_VERSION" = app/7
test "$PWD" = "$BOSH_COMPILE_TARGET"
mkdir -p "$BOSH_INSTALL_TARGET/bin"
"` + filepath.Join(v.base, "packages", "dep", "bin", "tool") + `" > "$BOSH_INSTALL_TARGET/bin/app"
`})
	deps := map[string]any{"dep": dep}
	out := value[struct {
		Result struct {
			ID   string `json:"blobstore_id"`
			SHA1 string `json:"sha1"`
		}
	}](v, v.run("compile_package", "", source["blobstore_id"], source["sha1"], "app", "7", deps)).Result
	compiled := v.stored(out.ID)
	if got := v.entry(compiled, "bin/app"); got != "tooled\n" || fmt.Sprintf("%x", sha1.Sum(compiled)) != out.SHA1 {
		t.Errorf("got %q %s", got, out.SHA1)
	}
	for _, left := range []string{"data/compile", "packages/app", "packages/dep", "data/packages/app/7"} {
		if found, _ := filepath.Glob(filepath.Join(v.base, left, "*")); len(found) > 0 {
			t.Errorf("%s holds %v", left, found)
		}
	}
	broken := v.blob("broken", map[string]string{"packaging": "echo words; exit 5\n"})
	r := v.run("compile_package", "", broken["blobstore_id"], broken["sha1"], "app", "7", map[string]any{})
	v.refused(r, "Compile Package Failure (exit code: 5)")
	v.refused(r, "words")
	v.refused(v.run("compile_package", "", source["blobstore_id"], strings.Repeat("0", 40), "app", "7", deps), "sha1 mismatch expected=")
	v.refused(v.run("compile_package", "", source["blobstore_id"], source["sha1"], "../app", "7", deps), "not usable as a file name")
	v.refused(v.run("compile_package", "", "x"), "Not enough arguments, expected 2, got 1")
}

func TestLogs(t *testing.T) {
	t.Parallel()
	v := newVM(t)
	v.boot()
	v.beat("")
	log := filepath.Join(v.base, "sys", "log", "web")
	if err := os.MkdirAll(log, 0o700); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"web.log": "job's words", "other.txt": "text"} {
		if err := os.WriteFile(filepath.Join(log, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("s"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(secret, filepath.Join(log, "out.log")); err != nil {
		t.Fatal(err)
	}
	out := value[map[string]string](v, v.run("fetch_logs", "", "job", []string{"**/*.log"}))
	blob := v.stored(out["blobstore_id"])
	if v.entry(blob, "web/web.log") != "job's words" || bytes.Contains(blob, []byte("other")) || fmt.Sprintf("%x", sha1.Sum(blob)) != out["sha1"] {
		t.Errorf("got %v", out)
	}
	v.refused(v.run("fetch_logs", "", "other"), "matcher for other logs not found")
	bundle := value[map[string]string](v, v.call("bundle_logs", map[string]any{"log_type": "job", "filters": []string{}}))
	data, err := os.ReadFile(bundle["logs_tar_path"])
	if err != nil || v.entry(data, "web/other.txt") != "text" || !strings.HasPrefix(bundle["sha512"], "sha512:") {
		t.Errorf("got %v %v", bundle, err)
	}
	v.refused(v.call("remove_file", filepath.Join(log, "web.log")), "only what bundle_logs made")
	v.refused(v.call("remove_file", bundle["logs_tar_path"]+"/../../../../etc"), "only what bundle_logs made")
	path, _ := json.Marshal(bundle["logs_tar_path"])
	v.want(v.call("remove_file", bundle["logs_tar_path"]), string(path))
	if _, err := os.Stat(bundle["logs_tar_path"]); err == nil {
		t.Error("the bundle is still there")
	}
}

func TestErrandAndItsCancel(t *testing.T) {
	t.Parallel()
	v := newVM(t)
	v.boot()
	v.beat("")
	v.refused(v.run("run_errand", ""), "At least one job template is required to run an errand")
	begun := filepath.Join(v.TempDir(), "begun")
	if err := os.WriteFile(begun, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	spec := v.spec(map[string]string{
		"job.MF":           "---\nname: web\ntemplates:\n  ctl.sh: bin/ctl\n  run.sh: bin/run\n",
		"templates/run.sh": "#!/bin/sh\necho out; echo err >&2\nif [ -p " + begun + "2 ]; then echo x > " + begun + "2; sleep 86400 & wait; fi\nexit 3\n",
	})
	v.want(v.run("apply", "", spec), `"applied"`)
	v.want(v.run("run_errand", "", "web"), `{"stdout":"out\n","stderr":"err\n","exit_code":3}`)
	v.refused(v.run("run_errand", "", "none"), "Could not find errand none")

	mkfifo(t, begun+"2")
	running, ok := messages.TaskRunning(v.call("run_errand", "web").Value)
	if !ok {
		t.Fatal("an errand is no task")
	}
	v.read(begun + "2")
	v.want(v.call("cancel_task", running.AgentTaskID), `"canceled"`)
	v.want(v.call("get_task", running.AgentTaskID, messages.TaskWait{Wait: "50s"}), `{"stdout":"out\n","stderr":"err\n","exit_code":143}`)

	applied, _ := messages.TaskRunning(v.call("apply", spec).Value)
	v.refused(v.call("cancel_task", applied.AgentTaskID), "not supported")
	v.refused(v.call("cancel_task", "none"), "Task with id none could not be found")
}

func TestDrains(t *testing.T) {
	t.Parallel()
	v := newVM(t)
	v.boot()
	v.beat("")
	v.want(v.run("drain", "", "shutdown"), `0`) // without a job there is nothing to drain
	spec := v.spec(map[string]string{
		"job.MF": "---\nname: web\ntemplates:\n  ctl.sh: bin/ctl\n  drain.sh: bin/drain\n",
		"templates/drain.sh": `#!/bin/sh
cd "$(dirname "$0")/../../.."
echo "$@" >> drained
case "$BOSH_CURRENT_STATE" in *'"deployment":"micro"'*) ;; *) echo "no state"; exit 0;; esac
case "$BOSH_JOB_NEXT_STATE" in '{"persistent_disk":'*'}') ;; *) echo "no next state"; exit 0;; esac
case "$(cat mode) $1" in
"dynamic job_check_status") echo 0;;
"dynamic "*) echo -1;;
"text "*) echo hello;;
"fails "*) echo 0; exit 1;;
"hangs "*) echo x > begun; sleep 86400;;
esac
`,
	})
	v.want(v.run("apply", "", spec), `"applied"`)
	mode := func(m string) {
		if err := os.WriteFile(filepath.Join(v.base, "mode"), []byte(m), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	mode("dynamic")
	v.want(v.run("drain", "", "update", spec), `0`)
	v.file("drained", "job_unchanged hash_unchanged\njob_check_status hash_unchanged\n", 0)
	mode("text")
	v.refused(v.run("drain", "", "shutdown"), "Drain script exit 0: hello")
	mode("fails")
	v.refused(v.run("drain", "", "status"), "Drain script exit 1: ")
	v.refused(v.run("drain", "", "update"), "Drain update called without apply spec")
	v.refused(v.run("drain", "", "sideways"), "Unknown drain type sideways")
	mode("hangs")
	mkfifo(t, filepath.Join(v.base, "begun"))
	running, _ := messages.TaskRunning(v.call("drain", "shutdown").Value)
	v.read(filepath.Join(v.base, "begun"))
	v.want(v.call("ping"), `"pong"`)
	v.want(v.call("cancel_task", running.AgentTaskID), `"canceled"`)
	v.refused(v.call("get_task", running.AgentTaskID, messages.TaskWait{Wait: "50s"}), "cancelled")
}

func TestBlobsNamesAndAccounts(t *testing.T) {
	t.Parallel()
	v := newVM(t)
	v.boot()
	v.beat("")
	names := func(id string, content string) map[string]any {
		return map[string]any{
			"blob_id": id, "checksum": fmt.Sprintf("%x", sha1.Sum([]byte(content))),
			"payload": base64.StdEncoding.EncodeToString([]byte(content)),
		}
	}
	const records = `{"version":4,"records":[["10.0.0.1","a.bosh"],["10.0.0.2","b.bosh"]]}`
	blob := names("records", records)
	v.want(v.run("upload_blob", "", blob), `"records"`)
	bad := names("other", "x")
	bad["payload"] = "eQ=="
	v.refused(v.run("upload_blob", "", bad), "Payload corrupted. Checksum mismatch")
	v.refused(v.run("upload_blob", "", names("../evil", "x")), "no blob id")

	v.want(v.call("sync_dns", "records", blob["checksum"], 4), `"synced"`)
	v.file("instance/dns/records.json", records, 0o644)
	v.want(v.call("sync_dns", "gone", blob["checksum"], 3), `"synced"`) // older than what is known
	v.refused(v.call("sync_dns", "records", blob["checksum"], 5), "does not match version")
	v.records("sync_dns", "10.0.0.2 b.bosh")
	evil := names("evil", `{"version":9,"records":[["10.0.0.1","a\n6.6.6.6 bank"]]}`)
	v.want(v.run("upload_blob", "", evil), `"evil"`)
	v.refused(v.call("sync_dns", "evil", evil["checksum"], 9), "not usable")

	v.want(v.call("ssh", "setup", map[string]string{"user": "bosh_x1", "public_key": "ssh-rsa AAAA", "password": "$6$hash-secret"}),
		`{"command":"setup","status":"success","ip":"127.9.0.7"}`)
	v.records("ssh_setup", "bosh_x1")
	v.noSecrets("hash-secret")
	for _, user := range []string{"root", "bosh_", "bosh_x; rm", "-bosh_x"} {
		v.refused(v.call("ssh", "setup", map[string]string{"user": user, "public_key": "ssh-rsa AAAA"}), "Creating user")
	}
	v.refused(v.call("ssh", "setup", map[string]string{"user": "bosh_x1", "public_key": "a\nb"}), "not one line")
	v.want(v.call("ssh", "cleanup", map[string]string{"user_regex": "^bosh_x"}), `{"command":"cleanup","status":"success"}`)
	v.want(v.call("ssh", "cleanup", map[string]any{}), `{"command":"cleanup","status":"bad_user"}`)
	v.refused(v.call("ssh", "cleanup", map[string]string{"user_regex": "("}), "SSH Cleanup")
	v.refused(v.call("ssh", "other", map[string]string{}), "Unknown command for SSH method")

	v.want(v.call("delete_arp_entries", map[string]any{"ips": []string{"10.0.0.9"}}), `{}`)
	v.records("delete_arp_entries", "10.0.0.9")
	v.refused(v.call("delete_arp_entries", map[string]any{"ips": []string{"-x"}}), "no IP address")
}

func (v *vm) records(step, want string) {
	v.Helper()
	text, err := os.ReadFile(filepath.Join(v.base, "bosh", "recorded", step+".json"))
	if err != nil || !strings.Contains(string(text), want) {
		v.Errorf("%s records %s %v, want %q in it", step, text, err, want)
	}
}

func TestDynamicDisk(t *testing.T) {
	t.Parallel()
	v := newVM(t)
	v.boot()
	v.beat("")
	v.attach("vol-7", "sdq")
	v.want(v.run("add_dynamic_disk", "", "vol-7", "/dev/sdq"), `{}`)
	link := filepath.Join(v.base, "data", "dynamic_disks", "vol-7")
	if _, err := os.Stat(link); err != nil {
		t.Error(err)
	}
	v.want(v.call("remove_dynamic_disk", "vol-7"), `{}`)
	if _, err := os.Lstat(link); err == nil {
		t.Error("the name is still there")
	}
	v.refused(v.run("add_dynamic_disk", "", "../x", "/dev/sdq"), "is no disk")
}

// A changed mbus or blobstore is used by an agent that starts anew by itself,
// and the task has its answer.
func TestUpdateSettingsStartsAnew(t *testing.T) {
	t.Parallel()
	v := newVM(t)
	v.boot()
	v.beat("")
	v.want(v.run("update_settings", "", map[string]any{"trusted_certs": "CERT"}), `"ok"`)
	v.records("trusted_certificates", "CERT")
	store := filepath.Join(v.TempDir(), "blobs")
	running, ok := messages.TaskRunning(v.call("update_settings", map[string]any{
		"trusted_certs": "", "mbus": map[string]any{},
		"blobstores": []any{map[string]any{"provider": "local", "options": map[string]any{"blobstore_path": store}}},
	}).Value)
	if !ok {
		t.Fatal("update_settings is no task")
	}
	v.beat("")
	v.want(v.pingUntilAnswered(), `"pong"`)
	v.want(v.call("get_task", running.AgentTaskID, messages.TaskWait{Wait: "50s"}), `"ok"`)
	out := value[map[string]string](v, v.run("fetch_logs", "", "agent"))
	if _, err := os.Stat(filepath.Join(store, out["blobstore_id"])); err != nil {
		t.Errorf("the new blobstore is not used: %v", err)
	}
	v.want(v.call("prepare_network_change"), `true`)
	v.beat("")
	v.want(v.pingUntilAnswered(), `"pong"`)
}

func mkfifo(t *testing.T, path string) {
	t.Helper()
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
}

package e2e_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// login makes an account in the VM, as the Director does for a person, and gives
// what runs a command there as that person. It lasts as long as the VM.
func (d *deployer) login() (run func(command string) []byte) {
	d.Helper()
	dir := d.TempDir()
	key := filepath.Join(dir, "key")
	if out, err := exec.CommandContext(d.Context(), "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key).CombinedOutput(); err != nil {
		d.Fatalf("ssh-keygen: %v: %s", err, out)
	}
	public, err := os.ReadFile(key + ".pub")
	if err != nil {
		d.Fatal(err)
	}
	params := filepath.Join(dir, "params.yml")
	text := fmt.Sprintf("user: bosh_e2e\npublic_key: %q\n", strings.TrimSpace(string(public)))
	if err := os.WriteFile(params, []byte(text), 0o600); err != nil {
		d.Fatal(err)
	}
	d.says(d.run(0, "agent", "ssh", "setup", params), `"success"`)
	ssh := func(command string) ([]byte, error) {
		cmd := exec.CommandContext(d.Context(), "ssh", "-i", key, "-o", "BatchMode=yes", "-o", "ConnectTimeout=60",
			"-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile="+os.DevNull, "-o", "LogLevel=ERROR", "bosh_e2e@"+d.ip, command)
		var words strings.Builder
		cmd.Stderr = &words
		out, err := cmd.Output()
		if err != nil {
			err = fmt.Errorf("%s in the VM: %w: %s%s", command, err, words.String(), out)
		}
		return out, err
	}
	// A busy machine's sshd drops connections before it has greeted.
	limit := time.Now().Add(2 * time.Minute)
	for _, err := ssh("true"); err != nil; _, err = ssh("true") {
		if time.Now().After(limit) {
			d.Fatal(err)
		}
	}
	return func(command string) []byte {
		d.Helper()
		out, err := ssh(command)
		if err != nil {
			d.Fatal(err)
		}
		return out
	}
}

// A file that the test keeps on the persistent disk.
const keptFile = "/var/vcap/store/kept-by-a-person"

// keep writes the file, and makes sure that it is on the disk and not below it.
func (d *deployer) keep(text string) {
	d.Helper()
	run := d.login()
	run("mountpoint -q /var/vcap/store && echo " + text + " | sudo tee " + keptFile + " >/dev/null && sudo sync -f " + keptFile)
}

// kept fails the test unless the file holds what was written.
func (d *deployer) kept(text, after string) {
	d.Helper()
	run := d.login()
	if got := strings.TrimSpace(string(run("mountpoint -q /var/vcap/store && sudo cat " + keptFile))); got != text {
		d.Errorf("after %s %s holds %q, it held %q", after, keptFile, got, text)
	}
}

// services are vcap's, all five.
func (d *deployer) services(run func(string) []byte) {
	d.Helper()
	lines := strings.Split(strings.TrimSpace(string(run("ps -eo user:20=,args= | grep '[/]packages/microbosh'"))), "\n")
	for _, line := range lines {
		if !strings.HasPrefix(line, "vcap ") {
			d.Errorf("not as vcap: %s", line)
		}
	}
	if len(lines) != 5 {
		d.Errorf("these services run: %q", lines)
	}
}

package e2e_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// killed recreates the VM while orchestrator and CPI are killed at several
// points, and at last everything at once: the same command goes on.
func (d *deployer) killed(stemcell string) {
	d.Helper()
	const recreate, goOn = "--recreate", "--update"
	cmd := d.command(d.Context(), "--json", "deploy", stemcell, recreate)
	out, err := cmd.StdoutPipe()
	if err != nil {
		d.Fatal(err)
	}
	var words bytes.Buffer
	cmd.Stderr = &words
	if err := cmd.Start(); err != nil {
		d.Fatal(err)
	}
	kill := map[string][]string{ // when a task has begun
		"Stopping agent services": {"serve"}, "Delete VM": {"cpi-openstack"}, "Creating VM": {"cpi-openstack", "serve"},
		"Waiting for the agent": {"serve"}, "Attach disk": {"cpi-openstack"}, "Applying micro BOSH spec": {"serve", "cpi-openstack", "registry", "bus", "micro_bosh.yml"},
	}
	var said []string
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		said = append(said, lines.Text())
		var event struct{ Type, Task string }
		if json.Unmarshal(lines.Bytes(), &event) != nil || event.Type != "started" {
			continue
		}
		for task, victims := range kill {
			if !strings.HasPrefix(event.Task, task) {
				continue
			}
			delete(kill, task)
			d.Logf("%s: killed %d of %v", event.Task, d.kill(victims), victims)
		}
	}
	_ = cmd.Wait() // it was killed
	for task := range kill {
		if task != "Delete VM" {
			d.Errorf("nothing was killed at %q:\n%s\n%s", task, strings.Join(said, "\n"), words.String())
		}
	}
	d.run(0, "deploy", stemcell, goOn, recreate)
}

// kill ends the processes of this deployer whose command lines have one of the
// words, without a warning.
func (d *deployer) kill(words []string) (n int) {
	d.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		d.Fatal(err)
	}
	for _, file := range files {
		line, err := os.ReadFile(file)
		if err != nil || !bytes.Contains(line, []byte(d.dir)) {
			continue
		}
		args := strings.Split(string(line), "\x00")
		matches := func(word string) bool {
			return filepath.Base(args[0]) == "microbosh-"+word || slices.Contains(args, word) || slices.Contains(args, filepath.Join(d.dir, word))
		}
		if !slices.ContainsFunc(words, matches) {
			continue
		}
		var pid int
		if _, err := fmt.Sscanf(file, "/proc/%d/", &pid); err == nil && syscall.Kill(pid, syscall.SIGKILL) == nil {
			n++
		}
	}
	return n
}

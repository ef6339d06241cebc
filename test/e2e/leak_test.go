package e2e_test

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/microbosh/microbosh/test/lab"
)

var mbus = regexp.MustCompile(`nats://bm-[-0-9a-f]+:([A-Z2-7]+)@`)

// agentPasswords are those that the VMs were given, out of what devcloud keeps.
func agentPasswords(t *testing.T, l *lab.Lab) []string {
	t.Helper()
	seen := map[string]bool{}
	var all []string
	err := filepath.WalkDir(filepath.Join(l.State(), "devcloud"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".json") || !d.Type().IsRegular() {
			return nil // a running VM's files come and go
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return nil
		}
		for _, m := range mbus.FindAllSubmatch(b, -1) {
			if password := string(m[1]); !seen[password] {
				seen[password] = true
				all = append(all, password)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(all) == 0 {
		t.Fatal("no VM was given an identity")
	}
	return all
}

// noSecretsInProcesses looks at what everybody on the machine can see of the
// lab's processes.
func noSecretsInProcesses(t *testing.T, l *lab.Lab, secrets []string) {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	looked := 0
	for _, file := range files {
		line, err := os.ReadFile(file)
		if err != nil || !bytes.Contains(line, []byte(l.Dir)) {
			continue
		}
		looked++
		environ, err := os.ReadFile(filepath.Join(filepath.Dir(file), "environ"))
		if err != nil {
			continue // it ended
		}
		for _, secret := range append(secrets, lab.Marker) {
			if bytes.Contains(line, []byte(secret)) || bytes.Contains(environ, []byte(secret)) {
				t.Errorf("the process %q shows a secret", bytes.ReplaceAll(line, []byte{0}, []byte(" ")))
			}
		}
	}
	if looked == 0 {
		t.Error("no process of the lab was found")
	}
}

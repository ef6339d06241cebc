package e2e_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/microbosh/microbosh/test/lab"
)

// forget takes the bus's store away, and what the folder remembers.
func forget(t *testing.T, l *lab.Lab) {
	t.Helper()
	l.Bus.Stop()
	for _, path := range []string{filepath.Join(l.State(), "jetstream"), filepath.Join(l.Dir, ".microbosh", "deployments")} {
		if err := os.RemoveAll(path); err != nil {
			t.Fatal(err)
		}
	}
	l.Bus.Restart()
}

// must runs a command that has to succeed and say something.
func must(t *testing.T, l *lab.Lab, want string, args ...string) string {
	t.Helper()
	out, code := l.CLI(args...)
	if code != 0 || !strings.Contains(out, want) {
		t.Fatalf("microbosh %v ended with %d, want %q:\n%s", args, code, want, out)
	}
	return out
}

// refused runs a command that has to fail and say why.
func refused(t *testing.T, l *lab.Lab, want string, args ...string) {
	t.Helper()
	if out, code := l.CLI(args...); code != 1 || !strings.Contains(out, want) {
		t.Fatalf("microbosh %v ended with %d, want %q:\n%s", args, code, want, out)
	}
}

// What another tool made is taken over with its state file, goes on with its
// disk, and can be deleted.
func TestImport(t *testing.T) {
	t.Parallel()
	l := lab.New(t, lab.Options{})
	l.BuildStemcell()
	deploy(t, l)
	refused(t, l, "there is nothing to import", "state", "import", "-n")
	disk := l.Inventory().Volumes[0].ID
	forget(t, l)
	l.Untag()

	refused(t, l, "microbosh state import", "deploy", l.Stemcell, "-n")
	refused(t, l, "neither the journal nor the cloud knows anything", "state", "rebuild", "-n")
	refused(t, l, "there is no state file", "state", "import", "nothing.yml", "-n")
	must(t, l, "Imported `micro'", "state", "import", "-n")
	if out := must(t, l, disk, "state", "show"); !strings.Contains(out, "agrees with the journal") {
		t.Errorf("after the import the state file differs:\n%s", out)
	}
	deploy(t, l, "--update")
	whole(t, l)
	if got := l.Inventory().Volumes[0].ID; got != disk {
		t.Errorf("the disk is %s, want %s: the data is lost", got, disk)
	}
	remove(t, l)
}

// With the bus's store lost the resources are found by their tags.
func TestRebuild(t *testing.T) {
	t.Parallel()
	l := lab.New(t, lab.Options{})
	l.BuildStemcell()
	deploy(t, l)
	disk := l.Inventory().Volumes[0].ID

	// The state file is damaged, the folder's memory gone: the journal knows.
	file := filepath.Join(l.Dir, "bosh-deployments.yml")
	before, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, err := range []error{os.WriteFile(file, []byte("{"), 0o600), os.RemoveAll(filepath.Join(l.Dir, ".microbosh"))} {
		if err != nil {
			t.Fatal(err)
		}
	}
	must(t, l, "Rebuilt", "state", "rebuild", "-n")
	if after, err := os.ReadFile(file); err != nil || string(after) != string(before) {
		t.Errorf("the state file is not what it was: %v\n%s\nwant\n%s", err, after, before)
	}
	must(t, l, "Will skip deploy due to no changes", "deploy", l.Stemcell, "--update", "-n")

	forget(t, l)
	must(t, l, "Imported `micro'", "state", "rebuild", "-n")
	must(t, l, "Will deploy because nobody recorded what the VM was made from", "deploy", l.Stemcell, "--update", "-n")
	whole(t, l)
	if got := l.Inventory().Volumes[0].ID; got != disk {
		t.Errorf("the disk is %s, want %s: the data is lost", got, disk)
	}
	remove(t, l)
}

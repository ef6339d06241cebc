package e2e_test

import (
	"os"
	"strings"
	"testing"

	"github.com/microbosh/microbosh/test/lab"
)

// A VM that was refused for good leaves no identity that somebody could use.
func TestFailedVMLosesItsIdentity(t *testing.T) {
	t.Parallel()
	l := lab.New(t, lab.Options{})
	l.BuildStemcell()
	l.Faults(lab.Fault{Mode: "error", Method: "POST", Path: "/servers$", Status: 403, Count: 1, Message: "Quota exceeded for instances"})
	out, code := l.CLI("deploy", l.Stemcell, "-n")
	if code != 1 {
		t.Fatalf("deploy ended with %d:\n%s", code, out)
	}
	log, err := os.ReadFile(l.Registry.Log)
	if err != nil {
		t.Fatal(err)
	}
	given, revoked := strings.Count(string(log), "identity given"), strings.Count(string(log), "identity revoked")
	if given != 1 || revoked != 1 {
		t.Errorf("%d identities were given, %d revoked:\n%s", given, revoked, out)
	}
	if out, code := l.CLI("deploy", l.Stemcell, "-n"); code != 0 {
		t.Fatalf("the next deploy ended with %d:\n%s", code, out)
	}
	remove(t, l)
}

package messages_test

import (
	"testing"

	"github.com/microbosh/microbosh/pkg/messages"
)

func TestSubjectsParse(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"micro", "micro-os", "A1_b", "x"} {
		if _, err := messages.ParseDeployment(name); err != nil {
			t.Errorf("%q refused: %v", name, err)
		}
	}
	long := make([]byte, 300)
	for i := range long {
		long[i] = 'a'
	}
	for _, name := range []string{"", "a.b", "*", ">", "a b", "-a", "ä", string(long)} {
		if _, err := messages.ParseDeployment(name); messages.CodeOf(err) != messages.CodeInvalidName {
			t.Errorf("%q: got %v, want name_invalid", name, err)
		}
	}
	id := messages.StepID("k3v9q2m1xa", "create_vm", 12)
	uid, step, n, err := messages.ParseStepID(id)
	if err != nil || uid != "k3v9q2m1xa" || step != "create_vm" || n != 12 {
		t.Errorf("ParseStepID(%q) = %q %q %d %v", id, uid, step, n, err)
	}
	for _, bad := range []string{"", "x", "k3v9q2m1xa-create_vm-0", "k3v9q2m1xa-create.vm-1", "K-create_vm-1"} {
		if _, _, _, err := messages.ParseStepID(bad); err == nil {
			t.Errorf("%q taken for a step id", bad)
		}
	}
}

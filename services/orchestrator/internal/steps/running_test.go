package steps

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/microbosh/microbosh/pkg/messages"
)

func TestJobsThatDoNotRunAreNamed(t *testing.T) {
	t.Parallel()
	for text, settled := range map[string]bool{
		`{"job_state":"running"}`: true, `{"job_state":"unknown"}`: true, `{}`: true, // nobody can tell
		`{"job_state":"starting"}`: false, `{"job_state":"failing"}`: false, `{"job_state":"stopped"}`: false,
	} {
		var s jobStatus
		if err := json.Unmarshal([]byte(text), &s); err != nil || s.settled() != settled {
			t.Errorf("%s: got %v %v", text, s.settled(), err)
		}
	}
	var s jobStatus
	if err := json.Unmarshal([]byte(`{"job_state":"failing","processes":[{"name":"db","state":"running"},{"name":"web","state":"failing"}]}`), &s); err != nil {
		t.Fatal(err)
	}
	e := messages.AsError(notRunning(s, "a-1"))
	if e.Code != messages.CodeAgentFailed || !strings.Contains(e.Message, "they are failing: web is failing") || strings.Contains(e.Message, "db") || e.Hint == "" {
		t.Errorf("got %+v", e)
	}
}

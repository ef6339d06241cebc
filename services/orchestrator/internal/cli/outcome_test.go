package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"strconv"
	"strings"
	"testing"

	"github.com/microbosh/microbosh/pkg/messages"
	"github.com/microbosh/microbosh/services/orchestrator/internal/ui"
)

// codes are all that the wire has, read from its source.
func codes(t *testing.T) []messages.Code {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "../../../../pkg/messages/code.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var out []messages.Code
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok || len(spec.Values) != 1 {
			return true
		}
		if kind, ok := spec.Type.(*ast.Ident); !ok || kind.Name != "Code" {
			return true
		}
		text, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, messages.Code(text))
		return true
	})
	if len(out) < 40 {
		t.Fatalf("only %d codes are found", len(out))
	}
	return out
}

// TestEveryCodeIsShown ends runs with every code there is: each shows its cause,
// its code, the step, what is left and what to type, and exits as documented.
func TestEveryCodeIsShown(t *testing.T) {
	t.Parallel()
	s := messages.Snapshot{
		VM: &messages.VM{CID: "vm-1"}, Disk: &messages.Disk{CID: "vol-1"}, Stemcell: &messages.Stemcell{CID: "img-1"},
		Open: map[string]messages.Intent{"abcdefgh-create_disk-2": {}},
	}
	for _, code := range codes(t) {
		for _, outcome := range []messages.Outcome{messages.OutcomeFailed, messages.OutcomeCancelled, messages.OutcomeNeedsAttention} {
			for _, verb := range []messages.Verb{messages.VerbCreate, messages.VerbUpdate, messages.VerbDelete, messages.VerbStop, messages.VerbStart} {
				done := messages.RunDone{
					Verb: verb, Outcome: outcome, Step: "create_disk", Millis: 61_000,
					Error: messages.Errorf(code, "cannot make the disk: cannot ask \x1b[2Jthe cloud: no answer").WithHint("look at it"),
				}
				var out, script bytes.Buffer
				err := (&app{ui: &ui.Terminal{Err: &out}}).outcome(done, s, "")
				var exit exitError
				if !errors.As(err, &exit) || exit == 0 || outcome == messages.OutcomeNeedsAttention && exit != exitAttention {
					t.Errorf("%s %s %s exits with %v", code, outcome, verb, err)
				}
				for _, want := range []string{
					"the " + string(verb) + " ", ", after 00:01:01\n", "\ncannot make the disk\n  because cannot ask [2Jthe cloud\n  because no answer\n",
					"\n  code  " + string(code) + "\n", "\n  step  create_disk\n", "\n  left  VM vm-1\n        persistent disk vol-1\n        stemcell img-1\n",
					"open step abcdefgh-create_disk-2", "\n  next  microbosh ", "\nhint: look at it\n",
				} {
					if !strings.Contains(out.String(), want) {
						t.Errorf("%s %s %s has no %q:\n%s", code, outcome, verb, want, &out)
					}
				}
				if strings.Contains(out.String(), "\x1b") {
					t.Errorf("%s: a control character reaches the terminal", code)
				}
				_ = (&app{ui: &ui.Terminal{Out: &script, JSON: true}}).outcome(done, s, "")
				var got struct {
					Type  string
					Error messages.Error
					Left  []ui.Left
					Next  []ui.Next
				}
				if json.Unmarshal(script.Bytes(), &got) != nil || got.Type != "error" || got.Error.Code != code || len(got.Left) != 4 || len(got.Next) == 0 {
					t.Errorf("%s for programs: %s", code, &script)
				}
			}
		}
	}
}

func TestNextCommand(t *testing.T) {
	t.Parallel()
	vm := messages.Snapshot{VM: &messages.VM{CID: "vm-1"}}
	for name, c := range map[string]struct {
		done  messages.RunDone
		state messages.Snapshot
		code  messages.Code
		want  string
	}{
		"a silent agent":      {messages.RunDone{Verb: messages.VerbCreate, Step: "wait_agent"}, vm, messages.CodeAgentTimeout, "microbosh console; microbosh deploy x.tgz; microbosh delete"},
		"a silent director":   {messages.RunDone{Verb: messages.VerbUpdate, Step: "wait_director"}, vm, messages.CodeDirectorTimeout, "microbosh logs; microbosh deploy x.tgz"},
		"a refused manifest":  {messages.RunDone{Verb: messages.VerbCreate}, messages.Snapshot{}, messages.CodeManifestInvalid, "microbosh deploy x.tgz"},
		"an instance exists":  {messages.RunDone{Verb: messages.VerbCreate}, vm, messages.CodeInstanceExists, "microbosh deploy STEMCELL --update"},
		"a cancelled update":  {messages.RunDone{Verb: messages.VerbUpdate, Outcome: messages.OutcomeCancelled}, vm, messages.CodeCancelled, "microbosh deploy x.tgz; microbosh delete"},
		"no room for a first": {messages.RunDone{Verb: messages.VerbCreate, Step: "create_vm"}, messages.Snapshot{}, messages.CodeCloudQuota, "microbosh deploy x.tgz"},
	} {
		var got []string
		for _, n := range next(c.done, c.code, c.state, "microbosh deploy x.tgz") {
			got = append(got, n.Command)
		}
		if text := strings.Join(got, "; "); text != c.want {
			t.Errorf("%s: %s, want %s", name, text, c.want)
		}
	}
}

func TestCauses(t *testing.T) {
	t.Parallel()
	for message, want := range map[string]string{
		"it is full":                      "it is full",
		"cannot a: cannot b: c: d":        "cannot a|cannot b|c: d",
		"cannot tell":                     "cannot tell",
		"cannot ask: no\nthe last: lines": "cannot ask|no\nthe last: lines",
		"":                                "",
	} {
		if got := strings.Join(ui.Causes(message), "|"); got != want {
			t.Errorf("%q: %q, want %q", message, got, want)
		}
	}
}

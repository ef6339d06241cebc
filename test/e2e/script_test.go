package e2e_test

import (
	"context"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/microbosh/microbosh/pkg/bus"
	"github.com/microbosh/microbosh/pkg/messages"
	"github.com/microbosh/microbosh/test/lab"
)

// TestScripts runs the command line against a whole system, as people do. Each
// script has one of its own; those whose name begins with alone- have only a
// cloud, and their commands start what they need; with https- the agent is
// called, instead of coming to the bus; with silent- no agent ever answers.
func TestScripts(t *testing.T) {
	t.Parallel()
	bin := lab.Programs(t)
	testscript.Run(t, testscript.Params{
		Dir: filepath.Join("testdata", "script"),
		Setup: func(e *testscript.Env) error {
			tb, ok := e.T().(testing.TB)
			if !ok {
				tb = t
			}
			var l *lab.Lab
			switch name := filepath.Base(e.WorkDir); {
			case strings.Contains(name, "script-alone-"):
				l = lab.Alone(tb, lab.Options{})
			case strings.Contains(name, "script-https-"):
				l = lab.New(tb, lab.Options{Mbus: "https://vcap:" + lab.Marker + "-mbus@0.0.0.0:6868"})
			case strings.Contains(name, "script-silent-"):
				l = lab.New(tb, lab.Options{NoBoot: true})
			default:
				l = lab.New(tb, lab.Options{})
			}
			l.BuildStemcell()
			e.Vars = append(e.Vars, l.Command(t.Context()).Env...)
			e.Setenv("PATH", bin+string(os.PathListSeparator)+os.Getenv("PATH"))
			e.Setenv("STEMCELL", l.Stemcell)
			e.Values["lab"] = l
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"exits": exits, "cloud": cloud, "reaches": reaches, "tells": tells},
	})
}

// exits runs a command that must end with a code: exits CODE PROGRAM ARGS...
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE PROGRAM ARGS...")
	}
	code := "0"
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		code = strings.TrimPrefix(err.Error(), "exit status ")
	}
	if code != args[0] {
		ts.Fatalf("exit code %s, want %s", code, args[0])
	}
}

// cloud does something to the cloud behind microbosh's back: cloud
// delete-servers, cloud double-volumes; cloud stop lets it go away in the middle
// of a request that cloud hold METHOD PATH has made it keep
func cloud(ts *testscript.TestScript, neg bool, args []string) {
	l := ts.Value("lab").(*lab.Lab)
	switch {
	case neg || len(args) == 0:
		ts.Fatalf("usage: cloud WHAT")
	case args[0] == "delete-servers":
		l.DeleteServers()
	case args[0] == "double-volumes":
		l.DoubleVolumes()
	case args[0] == "hold" && len(args) == 3:
		l.Faults(lab.Fault{Mode: "hold", Method: args[1], Path: args[2], Count: 1})
	case args[0] == "stop":
		l.Held()
		l.Cloud.Kill()
	default:
		ts.Fatalf("cloud %s is not known", args[0])
	}
}

// reaches waits until a run of the deployment is at a step: reaches STEP
func reaches(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: reaches STEP")
	}
	l := ts.Value("lab").(*lab.Lab)
	l.Follow(l.Connect(messages.RoleOps), func(f lab.Fact) bool {
		return f.Name == messages.FactStepIntended && f.Step == args[0]
	})
}

// tells waits until a step's progress says what matches: tells PATTERN
func tells(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: tells PATTERN")
	}
	pattern, err := regexp.Compile(args[0])
	ts.Check(err)
	l := ts.Value("lab").(*lab.Lab)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	filter := messages.EventSubject(l.Name, "*", messages.EventProgress)
	feed, err := l.Connect(messages.RoleOps).Follow(ctx, messages.StreamEvent, []string{filter}, bus.Start{Sequence: 1})
	ts.Check(err)
	defer feed.Stop()
	for {
		m, err := feed.Next(ctx)
		if err != nil {
			ts.Fatalf("nobody tells %s: %v", pattern, err)
		}
		var p messages.Progress
		if _, err := messages.Decode(m.Data, &p); err == nil && pattern.MatchString(p.Message) {
			return
		}
	}
}

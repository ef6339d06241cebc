package service_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/microbosh/microbosh/pkg/bus"
	"github.com/microbosh/microbosh/pkg/messages"
	"github.com/microbosh/microbosh/services/orchestrator/internal/journal"
	"github.com/microbosh/microbosh/services/orchestrator/internal/workflow"
)

var record = flag.String("record", "", "record the journal of a life under testdata/journals/NAME.jsonl")

// TestRecordedJournals folds journals of earlier versions: what was written once
// must be understood for ever. Beside each is the state that every prefix of it
// gave.
func TestRecordedJournals(t *testing.T) {
	t.Parallel()
	if *record != "" {
		recordJournal(t, *record)
	}
	files, err := filepath.Glob("testdata/journals/*.jsonl")
	if err != nil || len(files) == 0 {
		t.Fatalf("no journal is recorded: %v", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			got := foldFile(t, file)
			golden := strings.TrimSuffix(file, ".jsonl") + ".states"
			if *record != "" && strings.HasSuffix(file, "/"+*record+".jsonl") {
				if err := os.WriteFile(golden, got, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got, want) {
				t.Errorf("%s folds to other states than when it was written", file)
			}
		})
	}
}

// foldFile gives the snapshot after every fact, a line each.
func foldFile(t *testing.T, file string) []byte {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var out bytes.Buffer
	state := workflow.State{Snapshot: messages.Snapshot{Deployment: "micro"}}
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, messages.MaxMessage)
	for lines.Scan() {
		state = workflow.Fold(state, journal.ReadFact(bus.Msg{Data: lines.Bytes()}))
		line, err := json.Marshal(state.Snapshot)
		if err != nil {
			t.Fatal(err)
		}
		out.Write(append(line, '\n'))
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// recordJournal lives a whole life, with a failure and a takeover in it.
func recordJournal(t *testing.T, name string) {
	t.Helper()
	l := newLab(t)
	stop := l.orchestrator()
	l.fail[messages.MethodCreateDisk] = "no space"
	l.want(l.send(messages.VerbCreate, "s1", 4096), messages.OutcomeFailed)
	l.want(l.send(messages.VerbCreate, "s1", 4096), messages.OutcomeSucceeded)
	stop()
	l.orchestrator()
	l.want(l.send(messages.VerbUpdate, "s1", 4096), messages.OutcomeSkipped)
	l.want(l.send(messages.VerbUpdate, "s2", 8192), messages.OutcomeSucceeded)
	l.want(l.send(messages.VerbDelete, "s2", 8192), messages.OutcomeSucceeded)
	msgs, err := l.conn.Read(t.Context(), messages.StreamJournal, messages.JournalFilter("micro"), 0)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	for _, m := range msgs {
		b.Write(append(bytes.TrimSpace(m.Data), '\n'))
	}
	if err := os.MkdirAll("testdata/journals", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join("testdata/journals", name+".jsonl"), b.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
}

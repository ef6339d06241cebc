package journal

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/microbosh/microbosh/pkg/bus"
	"github.com/microbosh/microbosh/pkg/messages"
	"github.com/microbosh/microbosh/services/orchestrator/internal/workflow"
)

// ErrBehind says that the journal has facts which this Log has not read: call
// Load and decide anew.
var ErrBehind = errors.New("the journal has moved on")

// Stream is what a journal needs of the bus.
type Stream interface {
	Append(ctx context.Context, a bus.Append) (uint64, error)
	Last(ctx context.Context, stream, filter string) (bus.Msg, error)
	Read(ctx context.Context, stream, filter string, from uint64) ([]bus.Msg, error)
}

var _ Stream = (*bus.Conn)(nil)

// Journal opens the logs of deployments.
type Journal struct {
	stream Stream
	source string
	now    func() time.Time
}

// New makes a Journal that writes as source (an envelope's source).
func New(stream Stream, source string) *Journal {
	return &Journal{stream: stream, source: source, now: time.Now}
}

// Log is a deployment's journal as far as it was read.
type Log struct {
	State workflow.State
	Seq   uint64 // of the last fact, 0 when there is none

	journal    *Journal
	deployment string
}

// Load reads the journal of a deployment from its last snapshot on.
func (j *Journal) Load(ctx context.Context, deployment string) (*Log, error) {
	log := &Log{journal: j, deployment: deployment}
	if err := log.Reload(ctx); err != nil {
		return nil, err
	}
	return log, nil
}

// Reload reads everything again.
func (l *Log) Reload(ctx context.Context) error {
	from := uint64(0)
	snapshot, err := l.journal.stream.Last(ctx, messages.StreamJournal, messages.JournalSubject(l.deployment, messages.FactSnapshot))
	switch {
	case err == nil:
		from = snapshot.Seq
	case !errors.Is(err, bus.ErrNone):
		return fmt.Errorf("cannot read the journal of %s: %w", l.deployment, err)
	}
	msgs, err := l.journal.stream.Read(ctx, messages.StreamJournal, messages.JournalFilter(l.deployment), from)
	if err != nil {
		return fmt.Errorf("cannot read the journal of %s: %w", l.deployment, err)
	}
	l.Seq = 0
	facts := make([]workflow.Fact, len(msgs))
	for i, m := range msgs {
		facts[i], l.Seq = ReadFact(m), m.Seq
	}
	l.State = workflow.Fold(workflow.State{Snapshot: messages.Snapshot{Deployment: l.deployment}}, facts...)
	return nil
}

// ReadFact reads a journal message; one that is no envelope is a fact without a
// body, which folds to nothing.
func ReadFact(m bus.Msg) workflow.Fact {
	e, err := messages.Decode(m.Data, nil)
	if err != nil {
		return workflow.Fact{}
	}
	return workflow.Fact{
		Run: e.Run, UID: e.DeploymentUID, Time: e.Time, Body: workflow.ReadBody(e.TypeName(messages.ClassFact), e.Data),
	}
}

// Entry is a fact to append.
type Entry struct {
	Fact  string
	UID   string // of the deployment
	Run   string
	Step  string // step id, when it is about one
	Cause string // id of the message that led to it
	Data  any
}

// Append writes a fact behind the last one read and folds it in. ErrBehind
// means that nothing was written.
func (l *Log) Append(ctx context.Context, entry Entry) error {
	id := uuid.NewString()
	e := messages.Envelope{
		ID: id, Type: messages.Type(messages.ClassFact, entry.Fact), Source: l.journal.source, Time: l.journal.now(),
		Deployment: l.deployment, DeploymentUID: entry.UID, Run: entry.Run, Step: entry.Step, CausationID: entry.Cause,
	}
	data, err := e.Encode(entry.Data)
	if err != nil {
		return fmt.Errorf("cannot record %s: %w", entry.Fact, err)
	}
	seq, err := l.journal.stream.Append(ctx, bus.Append{
		Subject: messages.JournalSubject(l.deployment, entry.Fact), Filter: messages.JournalFilter(l.deployment),
		Last: l.Seq, ID: id, Data: data,
	})
	if errors.Is(err, bus.ErrConflict) {
		return ErrBehind
	}
	if err != nil {
		return fmt.Errorf("cannot record %s of %s: %w", entry.Fact, l.deployment, err)
	}
	l.State, l.Seq = workflow.Fold(l.State, ReadFact(bus.Msg{Data: data})), seq
	return nil
}

// Current tells whether nothing was written behind what this Log has read.
func (l *Log) Current(ctx context.Context) (bool, error) {
	last, err := l.journal.stream.Last(ctx, messages.StreamJournal, messages.JournalFilter(l.deployment))
	if errors.Is(err, bus.ErrNone) {
		return l.Seq == 0, nil
	}
	if err != nil {
		return false, fmt.Errorf("cannot read the journal of %s: %w", l.deployment, err)
	}
	return last.Seq == l.Seq, nil
}

// Deployments names every deployment that the journal knows.
func (j *Journal) Deployments(ctx context.Context) ([]string, error) {
	msgs, err := j.stream.Read(ctx, messages.StreamJournal, messages.JournalSubject("*", messages.FactRunClaimed), 0)
	if err != nil {
		return nil, fmt.Errorf("cannot list the deployments: %w", err)
	}
	var names []string
	seen := map[string]bool{}
	for _, m := range msgs {
		if tokens := messages.Tokens(m.Subject); len(tokens) == 5 && !seen[tokens[3]] {
			seen[tokens[3]] = true
			names = append(names, tokens[3])
		}
	}
	return names, nil
}

package embed_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"testing"

	"github.com/microbosh/microbosh/pkg/bus"
	"github.com/microbosh/microbosh/pkg/bus/embed"
	"github.com/microbosh/microbosh/pkg/messages"
)

const childDir = "EMBED_TEST_DIR"

// TestChild is no test: it is the process that TestKill kills.
func TestChild(t *testing.T) {
	dir := os.Getenv(childDir)
	if dir == "" {
		return
	}
	s, err := embed.Start(context.Background(), embed.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	fmt.Println(s.URL())
	_, _ = bufio.NewReader(os.Stdin).ReadByte() // until killed, or the parent has ended
}

// TestKill kills a bus without warning, with a connection open and a command
// being worked on: the folder opens again, at the same address, with
// everything that was acknowledged.
func TestKill(t *testing.T) {
	t.Parallel()
	ctx := within(t)
	dir := t.TempDir()
	child := exec.CommandContext(ctx, os.Args[0], "-test.run=^TestChild$")
	child.Env = append(os.Environ(), childDir+"="+dir)
	stdin, err := child.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer stdin.Close()
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	var url string
	if _, err := fmt.Fscanln(out, &url); err != nil {
		t.Fatalf("the child tells no address: %v", err)
	}
	if got, err := embed.ReadAddress(dir); err != nil || got != url {
		t.Fatalf("ReadAddress: %q %v, want %q", got, err, url)
	}
	if _, err := embed.Start(ctx, embed.Options{Dir: dir}); messages.CodeOf(err) != messages.CodeStateLocked {
		t.Fatalf("a folder that another process holds: %v", err)
	}
	cli, orc := connect(t, dir, url, messages.RoleCLI), connect(t, dir, url, messages.RoleOrchestrator)
	workCtx, stop := context.WithCancel(ctx)
	defer stop()
	jobs, worked := make(chan uint64, 10), make(chan error, 1)
	go func() {
		worked <- orc.Work(workCtx, messages.CommandConsumer(), 1, func(ctx context.Context, j *bus.Job) error {
			jobs <- j.Deliveries
			if j.Deliveries == 1 {
				return nil // not acknowledged: the work is lost with the bus
			}
			return j.Done(ctx)
		})
	}()
	if _, err := cli.Send(ctx, messages.CommandSubject("micro"), "run-1", []byte("x")); err != nil {
		t.Fatal(err)
	}
	if n := <-jobs; n != 1 {
		t.Fatalf("the first delivery is number %d", n)
	}
	fact := bus.Append{Subject: messages.JournalSubject("micro", "f"), Filter: messages.JournalFilter("micro"), ID: "f1", Data: []byte("x")}
	if _, err := orc.Append(ctx, fact); err != nil {
		t.Fatal(err)
	}
	if err := child.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = child.Wait()
	if _, err := embed.ReadAddress(dir); messages.CodeOf(err) != messages.CodeBusUnreachable {
		t.Fatalf("the address of a killed bus: %v", err)
	}
	if s := start(t, dir); s.URL() != url {
		t.Fatalf("the bus is back at %s, was at %s", s.URL(), url)
	}
	facts, err := orc.Read(ctx, messages.StreamJournal, fact.Filter, 0)
	if err != nil || len(facts) != 1 || facts[0].ID != "f1" {
		t.Fatalf("the journal holds %+v: %v", facts, err)
	}
	select {
	case <-jobs: // its number may be 1 again: how often it was delivered is not flushed
	case <-ctx.Done():
		t.Fatal("the command was not delivered again")
	}
	stop()
	if err := <-worked; err != nil {
		t.Error(err)
	}
}

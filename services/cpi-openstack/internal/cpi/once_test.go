package cpi_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/rs/zerolog"

	"github.com/microbosh/microbosh/pkg/messages"
	"github.com/microbosh/microbosh/services/cpi-openstack/internal/cpi"
)

func once(c *toy) cpi.Once {
	return cpi.Once{
		Cloud: cloudName, Deployment: "micro", Step: messages.StepID("k3v9q2m1xa", messages.MethodCreateDisk, 1), Args: struct{}{},
		Deadline: soon(), Log: zerolog.Nop(), Methods: map[string]cpi.Method{messages.MethodCreateDisk: {Creates: true, Run: c.create}},
	}
}

func TestOnce(t *testing.T) {
	t.Parallel()
	c := &toy{things: map[string]string{}}
	out, err := once(c).Run(t.Context(), messages.MethodCreateDisk)
	if err != nil || !strings.Contains(string(out), `"thing-1"`) {
		t.Errorf("got %s, %v", out, err)
	}
}

// Who calls a process has no CID of what failed, so nothing may be left of it.
func TestOnceLeavesNothing(t *testing.T) {
	t.Parallel()
	c := &toy{things: map[string]string{}, finish: func(context.Context, *cpi.Step, string) error {
		return messages.Errorf(messages.CodeDeadline, "it is not ready in time")
	}}
	_, err := once(c).Run(t.Context(), messages.MethodCreateDisk)
	if things, _ := c.counts(); messages.CodeOf(err) != messages.CodeDeadline || things != 0 {
		t.Errorf("%d things are left, the error is %v", things, err)
	}
	c.finish = func(_ context.Context, s *cpi.Step, cid string) error {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.things[cid] = "another-step-1"
		return errors.New("it was taken away")
	}
	_, err = once(c).Run(t.Context(), messages.MethodCreateDisk)
	if things, _ := c.counts(); things != 1 || err == nil || !strings.Contains(err.Error(), "could not be removed") {
		t.Errorf("%d things are left, the error is %v", things, err)
	}
}

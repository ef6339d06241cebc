package steps

import (
	"context"
	"time"

	"github.com/microbosh/microbosh/pkg/messages"
)

// tellUnwanted tells the CPI, from the moment that the run is cancelled until
// stop, that nobody wants this step any more.
func (x *Session) tellUnwanted(c Call) (stop func()) {
	if c.Cut == nil {
		return func() {}
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		select {
		case <-c.Cut.Done():
		case <-ctx.Done():
			return
		}
		again := time.NewTicker(messages.UnwantedEvery)
		defer again.Stop()
		for {
			x.unwanted(c)
			select {
			case <-again.C:
			case <-ctx.Done():
				return
			}
		}
	}()
	return func() { cancel(); <-ended }
}

func (x *Session) unwanted(c Call) {
	e := messages.Envelope{
		ID: newID(), Type: messages.Type(messages.ClassEvent, messages.EventUnwanted), Source: x.Source,
		Time: time.Now(), Deployment: x.Deployment, DeploymentUID: x.UID, Run: x.Run, Step: c.Intent.StepID,
	}
	data, err := e.Encode(messages.Unwanted{StepID: c.Intent.StepID})
	if err == nil {
		err = x.Conn.Publish(messages.EventSubject(x.Deployment, messages.ServiceOrchestrator, messages.EventUnwanted), data)
	}
	if err != nil {
		x.Log.Debug().Err(err).Str("step", c.Intent.StepID).Msg("the CPI was not told of the cancel")
	}
}

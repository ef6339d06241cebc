package cpi

import (
	"context"
	"encoding/json"

	"github.com/microbosh/microbosh/pkg/bus"
	"github.com/microbosh/microbosh/pkg/messages"
)

func (w *worker) service() bus.Service {
	endpoints := map[string]func(context.Context, []byte) (any, error){
		messages.SvcInfo: func(context.Context, []byte) (any, error) { return w.Info, nil },
	}
	for method, query := range w.Queries {
		endpoints[method] = func(ctx context.Context, body []byte) (any, error) {
			var request messages.CallRequest
			if json.Unmarshal(body, &request) != nil {
				return nil, messages.Errorf(messages.CodeMalformed, "the request cannot be read")
			}
			secrets, err := w.open(request.Secrets)
			if err != nil {
				return nil, err
			}
			args, err := messages.Overlay(request.Args, secrets.Args)
			if err != nil {
				return nil, err
			}
			return query(ctx, args, secrets)
		}
	}
	return bus.Service{
		Name: messages.CPIService(w.Cloud), Version: w.Version, Description: "what the cloud holds",
		Endpoints: endpoints, Ready: w.Ready,
	}
}

func (w *worker) open(sealed *messages.Sealed) (messages.StepSecrets, error) {
	var secrets messages.StepSecrets
	if sealed.Empty() {
		return secrets, nil
	}
	return secrets, w.Ring.Open(sealed, &secrets)
}

package action

import "context"

func ping(context.Context, *Dispatcher, call) (any, error) { return "pong", nil }

func noop(context.Context, *Dispatcher, call) (any, error) { return "nope", nil }

// info tells beside BOSH's version that this agent renders templates.
func info(context.Context, *Dispatcher, call) (any, error) {
	return map[string]any{"api_version": 1, "renders": true}, nil
}

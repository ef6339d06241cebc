package action

import "context"

func ping(context.Context, *Dispatcher, call) (any, error) { return "pong", nil }

func noop(context.Context, *Dispatcher, call) (any, error) { return "nope", nil }

func info(context.Context, *Dispatcher, call) (any, error) {
	return map[string]int{"api_version": 1}, nil
}

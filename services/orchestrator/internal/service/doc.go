// Package service is the orchestrator as a program runs it: the runner that
// works on deploy requests, and the micro service `orchestrator` that answers
// what people ask about deployments.
package service

package mbus

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/microbosh/microbosh/pkg/messages"
)

// Dispatcher takes a request in and returns what waits for its answer. The
// first part is quick and is called for one request at a time; the second may
// take as long as the action does.
type Dispatcher interface {
	Dispatch(req messages.AgentRequest) (answer func(context.Context) messages.AgentReply)
}

// MaxRequest and MaxReply bound a message: 1 MiB is what NATS servers take.
const (
	MaxRequest = 1 << 20
	MaxReply   = 1<<20 - 1
)

// Parse reads a request. A request needs a method.
func Parse(body []byte) (messages.AgentRequest, error) {
	var req messages.AgentRequest
	if len(body) > MaxRequest {
		return req, fmt.Errorf("the request has %d bytes, at most %d are read", len(body), MaxRequest)
	}
	if trimmed := bytes.TrimSpace(body); len(trimmed) == 0 || trimmed[0] != '{' {
		return req, errors.New("the request is no JSON object")
	}
	if err := json.Unmarshal(body, &req); err != nil {
		return req, fmt.Errorf("the request cannot be read: %w", err)
	}
	if req.Method == "" {
		return req, errors.New("the request has no method")
	}
	return req, nil
}

// Encode writes a reply that fits into limit bytes (0: any): the middle of a
// long exception is cut out, a long value becomes an exception.
func Encode(reply messages.AgentReply, limit int) []byte {
	body := marshal(reply)
	if limit == 0 || len(body) <= limit {
		return body
	}
	if reply.Exception == nil {
		return marshal(Exception("Response exceeded maximum allowed length"))
	}
	reply.Exception.Backtrace = nil
	for keep := limit / 2; keep > 0; keep /= 2 {
		short := messages.AgentReply{Exception: &messages.AgentException{Message: middleOut(reply.Exception.Message, keep)}}
		if body = marshal(short); len(body) <= limit {
			break
		}
	}
	return body
}

func marshal(reply messages.AgentReply) []byte {
	body, err := json.Marshal(reply)
	if err != nil { // only a value that is no JSON, which no action returns
		body, _ = json.Marshal(Exception("cannot encode the reply"))
	}
	return body
}

// middleOut keeps head and tail of s, keep bytes together, on rune borders.
func middleOut(s string, keep int) string {
	if len(s) <= keep {
		return s
	}
	head, tail := keep/2, len(s)-keep/2
	for head > 0 && !utf8.RuneStart(s[head]) {
		head--
	}
	for tail < len(s) && !utf8.RuneStart(s[tail]) {
		tail++
	}
	return s[:head] + "...[truncated]..." + s[tail:]
}

// Exception makes a reply that refuses.
func Exception(message string) messages.AgentReply {
	return messages.AgentReply{Exception: &messages.AgentException{Message: message}}
}

// replyAllowed tells whether an answer may go there: director.*.<agent id>.*
// without wildcards or empty tokens.
func replyAllowed(subject, agentID string) bool {
	tokens := messages.Tokens(subject)
	if len(subject) > 512 || len(tokens) != 4 || tokens[0]+"." != messages.DirectorPrefix || tokens[2] != agentID {
		return false
	}
	for _, token := range tokens {
		if token == "" || strings.ContainsAny(token, "*> \t\r\n\x00") {
			return false
		}
	}
	return true
}

package messages

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"
)

// MaxMessage is the largest message, in bytes, that microbosh puts on the bus.
// What is bigger travels as a reference.
const MaxMessage = 512 * 1024

// Envelope wraps every message on bosh.v1.> but micro requests and replies. Its
// attribute names are those of CloudEvents 1.0; the body stands alone, no
// header is needed to understand it.
type Envelope struct {
	SpecVersion string    `json:"specversion"` // "1.0"
	ID          string    `json:"id"`          // unique; also the Nats-Msg-Id where one is sent
	Type        string    `json:"type"`        // bosh.v1.<class>.<name>
	Source      string    `json:"source"`      // <program>/<host>-<pid>
	Subject     string    `json:"subject"`     // deployment/<name>
	Time        time.Time `json:"time"`        // UTC

	Deployment    string `json:"deployment"`
	DeploymentUID string `json:"deploymentuid,omitempty"`
	Run           string `json:"run,omitempty"`
	Step          string `json:"step,omitempty"`        // step id
	CausationID   string `json:"causationid,omitempty"` // id of the message that led to this one
	TraceParent   string `json:"traceparent,omitempty"` // W3C trace context

	Data json.RawMessage `json:"data"`
}

// Classes of envelope types, the third token of Type.
const (
	ClassCommand = "cmd"
	ClassFact    = "journal"
	ClassStep    = "step"
	ClassResult  = "result"
	ClassEvent   = "event"
)

// Type makes an envelope type: bosh.v1.<class>.<name>.
func Type(class, name string) string { return Root + "." + class + "." + name }

// TypeName is the last token of an envelope type of that class, or "".
func (e Envelope) TypeName(class string) string {
	prefix := Root + "." + class + "."
	if len(e.Type) > len(prefix) && e.Type[:len(prefix)] == prefix {
		return e.Type[len(prefix):]
	}
	return ""
}

// Encode writes the envelope with data as its body. Fails when the result is
// larger than MaxMessage.
func (e Envelope) Encode(data any) ([]byte, error) {
	raw, err := json.Marshal(data)
	if err != nil {
		return nil, fmt.Errorf("cannot encode %s: %w", e.Type, err)
	}
	e.SpecVersion, e.Data, e.Time = "1.0", raw, e.Time.UTC()
	if e.Subject == "" {
		e.Subject = "deployment/" + e.Deployment
	}
	out, err := json.Marshal(e)
	if err != nil {
		return nil, fmt.Errorf("cannot encode %s: %w", e.Type, err)
	}
	if len(out) > MaxMessage {
		return nil, Errorf(CodeTooLarge, "%s would be %d bytes, at most %d go on the bus", e.Type, len(out), MaxMessage)
	}
	return out, nil
}

// Decode reads an envelope and, when data is not nil, its body into data.
// The error has code message_malformed.
func Decode(body []byte, data any) (Envelope, error) {
	var e Envelope
	if err := json.Unmarshal(body, &e); err != nil {
		return Envelope{}, Errorf(CodeMalformed, "the message is no envelope: %v", err)
	}
	if e.SpecVersion != "1.0" || e.ID == "" || e.Type == "" {
		return Envelope{}, Errorf(CodeMalformed, "the message is no envelope: specversion, id or type is missing")
	}
	if data == nil {
		return e, nil
	}
	return e, e.Into(data)
}

// Into reads the envelope's body.
func (e Envelope) Into(data any) error {
	dec := json.NewDecoder(bytes.NewReader(e.Data))
	dec.UseNumber()
	if err := dec.Decode(data); err != nil {
		return Errorf(CodeMalformed, "the body of %s cannot be read: %v", e.Type, err)
	}
	return nil
}

// Sealed is a secret that one role can open, as pkg/seal writes it. It names
// the public keys, so that an old key can be kept while something names it.
type Sealed struct {
	To   string `json:"to"`   // public curve key of the reader
	From string `json:"from"` // public curve key of the writer
	Box  []byte `json:"box"`  // nkeys xkv1 box
}

// Empty tells whether nothing is sealed.
func (s *Sealed) Empty() bool { return s == nil || len(s.Box) == 0 }

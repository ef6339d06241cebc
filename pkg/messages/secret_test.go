package messages_test

import (
	"encoding/json"
	"reflect"
	"testing"

	"github.com/microbosh/microbosh/pkg/messages"
)

func TestPartAndOverlay(t *testing.T) {
	t.Parallel()
	for whole, want := range map[string][2]string{
		`{"size_mib":1024,"tags":{"step":"s"}}`:                       {`{"size_mib":1024,"tags":{"step":"s"}}`, ``},
		`{"a":{"type":"ssd","passphrase":"p"},"n":12345678901234567}`: {`{"a":{"type":"ssd"},"n":12345678901234567}`, `{"a":{"passphrase":"p"}}`},
		`{"mirror":"http://u:p@h/","plain":"http://h/"}`:              {`{"plain":"http://h/"}`, `{"mirror":"http://u:p@h/"}`},
		`{"list":[{"api_key":"k"}],"b":["x"]}`:                        {`{"b":["x"]}`, `{"list":[{"api_key":"k"}]}`},
		`{"pem":"-----BEGIN X"}`:                                      {`{}`, `{"pem":"-----BEGIN X"}`},
		`{"odd":"http://u:p@[h"}`:                                     {`{}`, `{"odd":"http://u:p@[h"}`},
		`null`:                                                        {`null`, ``},
		``:                                                            {``, ``},
	} {
		open, closed, err := messages.Part(json.RawMessage(whole))
		if err != nil || string(open) != want[0] || string(closed) != want[1] {
			t.Errorf("%s is parted into %s and %s (%v)", whole, open, closed, err)
		}
		again, err := messages.Overlay(open, closed)
		if err != nil {
			t.Fatal(err)
		}
		var a, b any
		_, _ = json.Unmarshal(again, &a), json.Unmarshal([]byte(whole), &b)
		if !reflect.DeepEqual(a, b) {
			t.Errorf("%s came back as %s", whole, again)
		}
	}
	if _, _, err := messages.Part(json.RawMessage(`["secret"]`)); messages.CodeOf(err) != messages.CodeMalformed {
		t.Errorf("a list: %v", err)
	}
}

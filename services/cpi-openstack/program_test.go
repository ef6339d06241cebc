package main

import (
	"errors"
	"flag"
	"io"
	"strings"
	"testing"
	"time"
)

func TestParse(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		args string
		want options
		says string
	}{
		"least":            {"--bus nats://b --keys /s/keys", options{"nats://b", "/s/keys", 8, 2 * time.Minute, "/s/registry.json", false}, ""},
		"keys with slash":  {"--bus nats://b --keys /s/keys/", options{"nats://b", "/s/keys/", 8, 2 * time.Minute, "/s/registry.json", false}, ""},
		"all":              {"--bus nats://b --keys k --slots 2 --settle 1s --registry-endpoint-file /r --only-queries", options{"nats://b", "k", 2, time.Second, "/r", true}, ""},
		"no bus":           {"--keys k", options{}, "--bus and --keys"},
		"no keys":          {"--bus nats://b", options{}, "--bus and --keys"},
		"no slots":         {"--bus nats://b --keys k --slots 0", options{}, "--slots"},
		"no settle window": {"--bus nats://b --keys k --settle 0s", options{}, "--settle"},
		"a word too many":  {"--bus nats://b --keys k serve", options{}, `"serve"`},
		"unknown":          {"--cloud x", options{}, "not defined"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := parse(strings.Fields(tc.args), io.Discard)
			if tc.says == "" && (err != nil || got != tc.want) {
				t.Errorf("got %+v, %v, want %+v", got, err, tc.want)
			}
			if tc.says != "" && (err == nil || !strings.Contains(err.Error(), tc.says)) {
				t.Errorf("got %v, want %q", err, tc.says)
			}
		})
	}
	if _, err := parse([]string{"--help"}, io.Discard); !errors.Is(err, flag.ErrHelp) {
		t.Errorf("--help gives %v", err)
	}
}

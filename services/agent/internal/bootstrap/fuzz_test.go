package bootstrap

import (
	"context"
	"encoding/base64"
	"net/http"
	"strings"
	"testing"
)

// User data that is taken holds settings; nothing else makes the agent fall.
func FuzzUserData(f *testing.F) {
	good := `{"agent_id":"a","mbus":"nats://h","disks":{"persistent":{"v":{"path":"/dev/sdc"}}},"networks":{"n":{"dns":["1.1.1.1"]}},"env":{"bosh":{"password":"x"}}}`
	for _, seed := range []string{good, base64.StdEncoding.EncodeToString([]byte(good)), "", "<html>", "[]", `{"agent_id":7}`, `{"registry":{"endpoint":"ftp://x"},"server":{"name":"a"}}`} {
		f.Add([]byte(seed))
	}
	client := &http.Client{Transport: nowhere{}}
	ctx, cancel := context.WithCancel(context.Background())
	cancel() // name servers of the user data are not asked either
	f.Fuzz(func(t *testing.T, data []byte) {
		found, err := fromUserData(ctx, decode(data), Registry{Client: client})
		if err == nil && found.Settings.AgentID == "" {
			t.Errorf("%q was taken", data)
		}
		for _, key := range driveKeys(data) {
			if strings.TrimSpace(key) != key || key == "" {
				t.Errorf("the key %q was taken", key)
			}
		}
	})
}

// nowhere refuses every request, as the fuzzed addresses are nobody's.
type nowhere struct{}

func (nowhere) RoundTrip(*http.Request) (*http.Response, error) { return nil, http.ErrServerClosed }

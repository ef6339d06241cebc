package openstack

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gophercloud/gophercloud/v2"

	"github.com/microbosh/microbosh/pkg/messages"
)

func TestClassify(t *testing.T) {
	t.Parallel()
	answer := func(status int, body string) error {
		return gophercloud.ErrUnexpectedResponseCode{Actual: status, Body: []byte(body)}
	}
	dial := &net.OpError{Op: "dial", Err: errors.New("no route to host")}
	read := &net.OpError{Op: "read", Err: errors.New("connection reset by peer")}
	for _, tc := range []struct {
		name   string
		err    error
		effect effect
		code   messages.Code
		says   string
	}{
		{"unauthorized", answer(401, `{"error":{"message":"go away"}}`), writes, messages.CodeCloudAuth, "go away"},
		{"forbidden", answer(403, `{"forbidden":{"message":"policy"}}`), writes, messages.CodeCloudAuth, "policy"},
		{"quota", answer(403, `{"forbidden":{"message":"Quota exceeded for cores"}}`), writes, messages.CodeCloudQuota, "cores"},
		{"volume quota", answer(413, `{"overLimit":{"message":"VolumeLimitExceeded: Maximum number of volumes allowed (10) exceeded"}}`), writes, messages.CodeCloudQuota, "(10)"},
		{"port quota", answer(409, `{"NeutronError":{"message":"Quota exceeded for resources: ['port']."}}`), writes, messages.CodeCloudQuota, "port"},
		{"no room in Glance", answer(413, `<html><body><h1>413 Request Entity Too Large</h1>Image storage media is full: There is not enough disk space on the image storage media.</body></html>`), writes, messages.CodeCloudQuota, "storage media is full"},
		{"too large for now", answer(413, `{"overLimit":{"message":"slow down"}}`), writes, messages.CodeCloudTransient, "slow"},
		{"rate", answer(429, ``), writes, messages.CodeCloudTransient, "Too Many Requests"},
		{"missing", answer(404, `<html>not here</html>`), reads, messages.CodeCloudNotFound, "not here"},
		{"conflict", answer(409, `{"conflictingRequest":{"message":"in use"}}`), writes, messages.CodeCloudConflict, "in use"},
		{"bad request", answer(400, `{"badRequest":{"message":"Invalid key_name"}}`), writes, messages.CodeCloudInvalid, "Invalid key_name"},
		{"address pairs without port security", answer(409, `{"NeutronError":{"type":"AddressPairAndPortSecurityRequired","message":"Port Security must be enabled in order to have allowed address pairs on a port."}}`), writes, messages.CodeCloudInvalid, "--enable-port-security"},
		{"groups without port security", answer(400, `{"NeutronError":{"type":"PortSecurityAndIPRequiredForSecurityGroups","message":"Port security must be enabled and port must have an IP address in order to use security groups."}}`), writes, messages.CodeCloudInvalid, "default_security_groups"},
		{"busy server", answer(409, `{"conflictingRequest":{"message":"Cannot 'attach_volume' instance 1 while it is in task_state spawning"}}`), writes, messages.CodeCloudTransient, "spawning"},
		{"busy load balancer", answer(409, `{"faultcode":"Client","faultstring":"Load Balancer 1 is immutable and cannot be updated."}`), writes, messages.CodeCloudTransient, "immutable"},
		{"a success that is none, to a write", answer(200, `{"secret":1}`), writes, messages.CodeCloudAmbiguous, "200"},
		{"a success that is none, to a read", answer(302, ``), reads, messages.CodeCloudTransient, "302"},
		{"503 to a write", answer(503, ``), writes, messages.CodeCloudAmbiguous, ""},
		{"503 to a read", answer(503, ``), reads, messages.CodeCloudTransient, ""},
		{"a dial that fails", dial, writes, messages.CodeCloudTransient, "no route"},
		{"refused", &net.OpError{Op: "dial", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}, writes, messages.CodeCloudUnreachable, "auth_url"},
		{"no such host", &net.OpError{Op: "dial", Err: &net.DNSError{Err: "no such host", Name: "k", IsNotFound: true}}, reads, messages.CodeCloudUnreachable, "no such host"},
		{"names that cannot be asked for", &net.OpError{Op: "dial", Err: &net.DNSError{Err: "server misbehaving", Name: "k", IsTemporary: true}}, reads, messages.CodeCloudTransient, "misbehaving"},
		{"cut", read, writes, messages.CodeCloudAmbiguous, "reset"},
		{"half an answer", io.ErrUnexpectedEOF, writes, messages.CodeCloudAmbiguous, ""},
		{"half a listing", io.ErrUnexpectedEOF, reads, messages.CodeCloudTransient, ""},
		{"after a new token", &gophercloud.ErrErrorAfterReauthentication{ErrOriginal: answer(503, ``)}, writes, messages.CodeCloudAmbiguous, ""},
		{"no new token", &gophercloud.ErrUnableToReauthenticate{ErrOriginal: answer(401, ``), ErrReauth: answer(401, ``)}, writes, messages.CodeCloudAuth, ""},
		{"no such service", &gophercloud.ErrEndpointNotFound{}, reads, messages.CodeCloudInvalid, "region"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			err := messages.AsError(classify("do it", tc.effect, tc.err))
			if err.Code != tc.code {
				t.Errorf("code is %s, want %s: %v", err.Code, tc.code, err)
			}
			if !strings.HasPrefix(err.Message, "cannot do it") || !strings.Contains(err.Message+err.Hint, tc.says) {
				t.Errorf("says %q (%s), want %q", err.Message, err.Hint, tc.says)
			}
		})
	}
	if err := classify("do it", reads, context.Canceled); !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled read became %v", err)
	}
	if err := classify("do it", writes, answer(500, strings.Repeat("long ", 1000))); len(err.Error()) > 500 {
		t.Errorf("an error quotes %d bytes", len(err.Error()))
	}
	busy := gophercloud.ErrUnexpectedResponseCode{Actual: 429, ResponseHeader: http.Header{"Retry-After": []string{"7"}}}
	var later interface{ RetryAfter() time.Duration }
	if err := fmt.Errorf("again: %w", classify("do it", writes, busy)); !errors.As(err, &later) || later.RetryAfter() != 7*time.Second || messages.CodeOf(err) != messages.CodeCloudTransient {
		t.Errorf("a wish for a pause became %#v", err)
	}
	if err := classify("do it", writes, nil); err != nil {
		t.Errorf("no error became %v", err)
	}
}

// Who validates a request quotes it; nothing of that may be told on.
func TestReasonHoldsNothingOfTheRequest(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ said, told string }{
		"Nova":     {"Invalid input for field/attribute user_data. Value: c2VjcmV0. 'c2VjcmV0' is too long", "Invalid input for field/attribute user_data"},
		"Keystone": {"Invalid input for field 'identity/password': 'secret' is not of type 'object'\n\nFailed validating 'type' in schema\nOn instance:\n 'secret'", "Invalid input for field 'identity/password'"},
		"other":    {"It is wrong. Failed validating 'type'. On instance: 'secret'", "It is wrong"},
		"encoded":  {"bad: " + strings.Repeat("c2Vjc", 20) + " is no user data", "bad: ... is no user data"},
		"nothing":  {"Value: secret", "Bad Request"},
		"plain":    {"Invalid key_name provided.", "Invalid key_name provided."},
	} {
		body, err := json.Marshal(map[string]any{"badRequest": map[string]any{"code": 400, "message": tc.said}})
		if err != nil {
			t.Fatal(err)
		}
		if got := reason(gophercloud.ErrUnexpectedResponseCode{Actual: 400, Body: body}); got != tc.told {
			t.Errorf("%s: %q, want %q", name, got, tc.told)
		}
	}
}

package bootstrap_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/microbosh/microbosh/pkg/messages"
	"github.com/microbosh/microbosh/services/agent/internal/bootstrap"
	"github.com/microbosh/microbosh/services/agent/internal/disk"
	"github.com/microbosh/microbosh/services/agent/internal/home"
	"github.com/microbosh/microbosh/services/agent/internal/platform"
)

// Whatever the metadata service answers, the agent says which step failed, why
// and what to do; the next start, with a service that is well, comes up.
func TestBadMetadata(t *testing.T) {
	t.Parallel()
	answer := func(body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, body) }
	}
	with := func(before, after string) http.HandlerFunc {
		return answer(strings.Replace(settings, before, after, 1))
	}
	for name, c := range map[string]struct {
		bad        http.HandlerFunc
		step, want string
	}{
		"an error": {func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "boom", http.StatusInternalServerError) },
			"load_settings", "returned HTTP 500"},
		"nothing":    {answer(""), "load_settings", "the user data is empty"},
		"a web page": {answer("<!DOCTYPE html><html><body>Sign in</body></html>"), "load_settings", "it is a web page"},
		"no JSON":    {answer("#cloud-config"), "load_settings", "cannot parse user data"},
		"half of it": {answer(settings[:len(settings)/2]), "load_settings", "cannot parse user data"},
		"too much":   {answer(strings.Repeat("x", 5<<20)), "load_settings", "more than"},
		"a hang-up":  {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "load_settings", "EOF"},
		"slowly": {func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprint(w, "{")
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
		}, "load_settings", "Client.Timeout"},
		"never":                    {func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, "load_settings", "Client.Timeout"},
		"a redirect":               {func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/login", http.StatusFound) }, "load_settings", "returned HTTP 302"},
		"settings of wrong types":  {with(`"ntp":["n"]`, `"ntp":"n"`), "load_settings", "cannot parse user data"},
		"an env that is a list":    {with(`"env":{"bosh":{"password":"secret-hash"}}`, `"env":[]`), "load_settings", "cannot read env"},
		"an agent id of another":   {with(`"agent_id":"a-1"`, `"agent_id":"a.*"`), "update_agent_id", "agent id"},
		"two disks":                {with(`"persistent":{}`, `"persistent":{"a":"/dev/sdc","b":"/dev/sdd"}`), "mount_persistent_disk", "more than one persistent disk"},
		"a disk that is no device": {with(`"persistent":{}`, `"persistent":{"a":"/etc/passwd"}`), "mount_persistent_disk", "is no device"},
		"half of the credentials":  {with(`"password"`, `"credentials":{"sign_key":"k"},"password"`), "update_credentials", "needs crypt_key and sign_key"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir, err := home.New(filepath.Join(t.TempDir(), "var", "vcap"), "")
			if err != nil {
				t.Fatal(err)
			}
			var log bytes.Buffer
			_, err = bootFrom(t, dir, &log, c.bad)
			var e *messages.Error
			if !errors.As(err, &e) || e.Code != messages.CodeBootstrapFailed || e.Hint == "" {
				t.Fatalf("got %v", err)
			}
			for _, want := range []string{"cannot bootstrap: step " + c.step + ": ", c.want} {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("got %v, want %q", err, want)
				}
			}
			if strings.Contains(err.Error()+log.String(), "secret-hash") {
				t.Errorf("a secret is told: %v\n%s", err, &log)
			}
			if state, err := bootFrom(t, dir, &log, answer(settings)); err != nil || state.AgentID != "a-1" {
				t.Errorf("the next start: %+v %v", state, err)
			}
		})
	}
}

// A machine is not made out of settings that name no agent, whatever the flag
// says by default.
func TestNoAgentID(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.answers["/latest/user-data"] = `{"registry":{"endpoint":"` + w.url + `"},"server":{"name":"vm-1"}}`
	w.answers["/instances/vm-1/settings"] = `{"settings":"{\"mbus\":\"nats://x\"}"}`
	if _, err := w.boot(true); err == nil || !strings.Contains(err.Error(), "step update_agent_id: the settings have no agent_id") {
		t.Errorf("got %v", err)
	}
}

// bootFrom boots once from a metadata service that answers so.
func bootFrom(t *testing.T, dir home.Dir, log *bytes.Buffer, metadata http.HandlerFunc) (bootstrap.State, error) {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("/latest/user-data", metadata)
	server := httptest.NewServer(mux)
	defer server.Close()
	logger := zerolog.New(log)
	client := bootstrap.NewClient()
	const limit = 300 * time.Millisecond // of those that never end
	client.Timeout = limit
	loader := bootstrap.NewLoader(bootstrap.LoaderOptions{
		Home: dir, Sources: []bootstrap.Source{bootstrap.MetadataSource{URI: server.URL, Client: client}}, Patience: time.Millisecond, Log: logger,
	})
	machine := platform.NewRootless(dir, logger)
	return bootstrap.Run(context.Background(), bootstrap.Options{
		Home: dir, Configure: true, Loader: loader, Platform: machine, Log: logger, DefaultAgentID: bootstrap.NoAgentID,
		Disks: disk.New(disk.Options{Home: dir, Platform: machine, Settings: loader.Settings}),
	})
}

package settings_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/microbosh/microbosh/pkg/bus"
	"github.com/microbosh/microbosh/pkg/bus/embed"
	"github.com/microbosh/microbosh/pkg/messages"
	"github.com/microbosh/microbosh/pkg/seal"
	"github.com/microbosh/microbosh/services/registry/internal/settings"
)

const marker = "marker-secret"

// house is a bus with a registry on it, as the registry's neighbours see it.
type house struct {
	dir, url       string
	user, password string
	cpi            *bus.Conn
	ring           *seal.Ring // the CPI's
	registry       string     // public key
	log            *buffer
	stop           func()
}

type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

func within(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func begin(t testing.TB) *house { t.Helper(); return beginIn(t, t.TempDir()) }

func beginIn(t testing.TB, dir string) *house {
	t.Helper()
	ctx := within(t)
	h := &house{dir: dir, log: &buffer{}}
	server, err := embed.Start(ctx, embed.Options{Dir: h.dir})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	h.run(t, server.URL())
	h.cpi = h.connect(t, server.URL(), messages.RoleCPI)
	keys := filepath.Join(h.dir, "keys")
	if h.ring, err = seal.OpenRing(keys, messages.RoleCPI); err != nil {
		t.Fatal(err)
	}
	if h.registry, err = seal.PublicKey(keys, messages.RoleRegistry); err != nil {
		t.Fatal(err)
	}
	line, err := os.ReadFile(filepath.Join(keys, "registry.http"))
	if err != nil {
		t.Fatal(err)
	}
	h.user, h.password, _ = strings.Cut(strings.TrimSpace(string(line)), ":")
	return h
}

// run starts a registry and returns when it serves.
func (h *house) run(t testing.TB, busURL string) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ready, done := make(chan struct{}), make(chan error, 1)
	go func() {
		done <- settings.Run(ctx, settings.Options{
			Bus: busURL, Keys: filepath.Join(h.dir, "keys"), Listen: "127.0.0.1:0",
			Ready: func() error { close(ready); return nil },
			Log:   zerolog.New(h.log).Level(zerolog.TraceLevel),
		})
	}()
	h.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("the registry ended: %v", err)
		}
	})
	t.Cleanup(h.stop)
	select {
	case <-ready:
	case err := <-done:
		t.Fatalf("the registry does not run: %v", err)
	}
	b, err := os.ReadFile(filepath.Join(h.dir, "registry.json"))
	if err != nil {
		t.Fatal(err)
	}
	var at struct{ URL string }
	if err := json.Unmarshal(b, &at); err != nil || at.URL == "" {
		t.Fatalf("registry.json holds %s", b)
	}
	h.url = at.URL
}

func (h *house) connect(t testing.TB, url, role string) *bus.Conn {
	t.Helper()
	c, err := bus.Connect(within(t), bus.Options{
		URL: url, Name: role, SeedFile: embed.KeyFile(h.dir, role), InboxPrefix: messages.InboxPrefix(role),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func (h *house) put(t testing.TB, p messages.SettingsPut, document string) (uint64, error) {
	t.Helper()
	if p.Settings == nil {
		box, err := h.ring.Seal(h.registry, json.RawMessage(document))
		if err != nil {
			t.Fatal(err)
		}
		p.Settings = box
	}
	if p.Digest == "" {
		p.Digest = h.ring.Digest([]byte(document))
	}
	var out messages.SettingsPutReply
	err := h.cpi.Call(within(t), messages.ServiceSubject(messages.ServiceRegistry, messages.SvcSettingsPut), p, &out)
	return out.Revision, err
}

func (h *house) get(t testing.TB, name string) (string, uint64, error) {
	t.Helper()
	var out messages.SettingsReply
	err := h.cpi.Call(within(t), messages.ServiceSubject(messages.ServiceRegistry, messages.SvcSettingsGet),
		messages.SettingsGet{Name: name, Asker: h.ring.Public()}, &out)
	if err != nil {
		return "", 0, err
	}
	var document json.RawMessage
	if err := h.ring.Open(out.Settings, &document); err != nil {
		t.Fatal(err)
	}
	return string(document), out.Revision, nil
}

func (h *house) delete(t testing.TB, name string) error {
	t.Helper()
	return h.cpi.Call(within(t), messages.ServiceSubject(messages.ServiceRegistry, messages.SvcSettingsDelete),
		messages.SettingsDelete{Name: name}, nil)
}

// do sends one HTTP request; user "" sends no credential.
func (h *house) do(t testing.TB, method, path, user, password, body string, headers ...string) (int, http.Header, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(within(t), method, h.url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if user != "" {
		r.SetBasicAuth(user, password)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, resp.Header, strings.TrimSpace(string(b))
}

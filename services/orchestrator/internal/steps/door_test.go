package steps

import (
	"context"
	"crypto/sha1" //nolint:gosec // BOSH's digests
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/rs/zerolog"

	"github.com/microbosh/microbosh/pkg/bus"
	"github.com/microbosh/microbosh/pkg/bus/bustest"
	"github.com/microbosh/microbosh/pkg/manifest"
	"github.com/microbosh/microbosh/pkg/messages"
	"github.com/microbosh/microbosh/pkg/stemcell"
	"github.com/microbosh/microbosh/services/orchestrator/internal/workflow"
)

// modern is a real agent of today on the bus, and a DAV blobstore.
type modern struct {
	*testing.T
	session *Session
	call    Call

	mu       sync.Mutex // guards what follows
	info     string
	uploaded map[string]string
	gets     []string
}

func newModern(t *testing.T, info, blobstore string) *modern {
	t.Helper()
	m := &modern{T: t, info: info}
	job, err := stemcell.Archive([]stemcell.File{
		{Path: "job.MF", Mode: 0o644, Data: []byte("name: web\ntemplates:\n  ctl.sh: bin/ctl\n")},
		{Path: "templates/ctl.sh", Mode: 0o644, Data: []byte("#!/bin/sh\n")}, {Path: "monit", Mode: 0o644, Data: []byte("check\n")},
	})
	if err != nil {
		t.Fatal(err)
	}
	dav := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, password, _ := r.BasicAuth()
		if user != "u" || password != "p" || !strings.HasSuffix(r.URL.Path, "/web-blob") {
			http.NotFound(w, r)
			return
		}
		m.mu.Lock()
		m.gets = append(m.gets, r.URL.Path)
		m.mu.Unlock()
		_, _ = w.Write(job)
	}))
	t.Cleanup(dav.Close)
	b := bustest.Start(t)
	agents := b.Connect(t, "agent")
	stop, err := agents.Subscribe(t.Context(), "agent.a-1", func(msg bus.Msg) { m.answer(agents, msg) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	text := "name: micro\nnetwork: {type: dynamic}\ncloud:\n  plugin: openstack\n  properties:\n    openstack: {auth_url: 'http://k/v3', username: u, api_key: k}\n" +
		"    agent:\n      mbus: 'nats://u:p@host:1'\n      blobstore: " + strings.ReplaceAll(blobstore, "DAV", dav.URL) + "\n"
	parsed, err := manifest.Parse("m", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	spec := fmt.Sprintf(`{"deployment":"micro","job":{"name":"micro","templates":[{"name":"web","version":"1","sha1":"%x","blobstore_id":"web-blob"}]},"properties":{}}`, sha1.Sum(job)) //nolint:gosec // see above
	m.session = New(Options{Conn: b.Connect(t, "orchestrator"), Director: "d-1", Log: zerolog.Nop()}).Session(Session{
		Deployment: "micro", UID: "uid12345", Run: "r", Manifest: parsed, Spec: json.RawMessage(spec), Fence: func(context.Context) error { return nil },
	})
	t.Cleanup(m.session.Close)
	var state workflow.State
	state.VM = &messages.VM{AgentID: "a-1", IP: "127.0.0.1", ServiceIP: "127.0.0.1"}
	m.call = Call{State: state, Intent: messages.Intent{StepIntended: messages.StepIntended{StepID: "uid12345-apply-1", Step: "apply"}}}
	return m
}

func (m *modern) answer(conn *bus.Conn, msg bus.Msg) {
	var r messages.AgentRequest
	if err := json.Unmarshal(msg.Data, &r); err != nil {
		m.Error(err)
		return
	}
	reply := `{"exception":{"message":"unknown message ` + r.Method + `"}}`
	m.mu.Lock()
	switch {
	case r.Method == "info" && m.info != "":
		reply = m.info
	case r.Method == "upload_blob":
		m.uploaded = map[string]string{}
		_ = json.Unmarshal(r.Arguments[0], &m.uploaded)
		reply = `{"value":"` + m.uploaded["blob_id"] + `"}`
	}
	m.mu.Unlock()
	if err := conn.Publish(r.ReplyTo, []byte(reply)); err != nil {
		m.Error(err)
	}
}

const davStore = `{provider: dav, options: {endpoint: 'DAV', user: u, password: p}}`

// An agent of today has no ruby and no template: over NATS it is sent what the
// orchestrator has rendered, once.
func TestAModernAgentIsSentTheRenderedTemplates(t *testing.T) {
	t.Parallel()
	m := newModern(t, `{"value":{"api_version":1}}`, davStore)
	for range 2 {
		spec, err := m.session.finalSpec(t.Context(), m.call)
		if err != nil {
			t.Fatal(err)
		}
		archive, _ := spec["rendered_templates_archive"].(map[string]any)
		if archive["blobstore_id"] != m.uploaded["blob_id"] || archive["sha1"] != m.uploaded["checksum"] || archive["sha1"] == nil || spec["configuration_hash"] == "" {
			t.Errorf("the spec names %v, uploaded was %v", archive, m.uploaded["blob_id"])
		}
	}
	data, err := base64.StdEncoding.DecodeString(m.uploaded["payload"])
	if err != nil || fmt.Sprintf("%x", sha1.Sum(data)) != m.uploaded["checksum"] { //nolint:gosec // see above
		t.Errorf("the payload does not have the checksum: %v", err)
	}
	if len(m.gets) != 1 {
		t.Errorf("the template was read %d times: %v", len(m.gets), m.gets)
	}
}

// Who renders by itself gets the spec as it is.
func TestAgentsThatRenderGetTheTemplates(t *testing.T) {
	t.Parallel()
	for name, info := range map[string]string{"the original": "", "ours": `{"value":{"api_version":1,"renders":true}}`} {
		m := newModern(t, info, davStore)
		spec, err := m.session.finalSpec(t.Context(), m.call)
		if err != nil {
			t.Fatal(err)
		}
		if spec["rendered_templates_archive"] != nil || m.uploaded != nil {
			t.Errorf("%s was sent an archive", name)
		}
	}
}

func TestTemplatesThatNobodyCanRead(t *testing.T) {
	t.Parallel()
	for blobstore, want := range map[string]string{
		`{provider: local, options: {blobstore_path: /var/vcap/x}}`:                    "is no dav blobstore",
		`{provider: dav, options: {endpoint: 'DAV', user: u, password: wrong-secret}}`: "the blobstore has no template web-blob: HTTP 404",
	} {
		m := newModern(t, `{"value":{"api_version":1}}`, blobstore)
		_, err := m.session.finalSpec(t.Context(), m.call)
		e := messages.AsError(err)
		if e == nil || e.Code != messages.CodeRenderFailed || !strings.Contains(e.Message, want) || e.Hint == "" || strings.Contains(e.Message+e.Hint, "wrong-secret") {
			t.Errorf("got %+v, want %q", e, want)
		}
	}
}

package steps

import (
	"bytes"
	"context"
	"crypto/sha1" //nolint:gosec // BOSH's digests and blob folders of 2014
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/microbosh/microbosh/pkg/erb"
	"github.com/microbosh/microbosh/pkg/messages"
	"github.com/microbosh/microbosh/pkg/poll"
	"github.com/microbosh/microbosh/pkg/stemcell"
	"github.com/microbosh/microbosh/services/orchestrator/internal/render"
)

// rendered tells who renders the templates.
type rendered struct {
	By                string `json:"by"`
	ConfigurationHash string `json:"configuration_hash,omitempty"`
}

// render renders the job's templates where the agent has a door for blobs.
// Others render themselves, as in 2014.
func (x *Session) render(ctx context.Context, c Call) (any, error) {
	spec, err := x.spec(ctx, c)
	if err != nil {
		return nil, err
	}
	archive, err := x.archive(ctx, c, spec)
	if err != nil {
		return nil, err
	}
	if archive == nil {
		return rendered{By: "agent"}, nil
	}
	return rendered{By: messages.ServiceOrchestrator, ConfigurationHash: archive.ConfigurationHash}, nil
}

// finalSpec is what apply sends. The archive is made again by who did not make
// it: the same templates make the same one.
func (x *Session) finalSpec(ctx context.Context, c Call) (map[string]any, error) {
	spec, err := x.spec(ctx, c)
	if err != nil {
		return nil, err
	}
	archive, err := x.archive(ctx, c, spec)
	if err != nil {
		return nil, err
	}
	if archive != nil {
		archive.Add(spec)
		return spec, nil
	}
	// Micro stemcells have an empty hash there, which today's agents cannot read.
	if _, isMap := spec["configuration_hash"].(map[string]any); isMap {
		raw, err := json.Marshal(spec["job"])
		if err != nil {
			return nil, fmt.Errorf("cannot encode the spec's job: %w", err)
		}
		sum := sha1.Sum(raw) //nolint:gosec // a name, not a proof
		spec["configuration_hash"] = hex.EncodeToString(sum[:])
	}
	return spec, nil
}

// archive renders and uploads, or gives what this session has uploaded; nil
// when the agent renders.
func (x *Session) archive(ctx context.Context, c Call, spec map[string]any) (*render.Archive, error) {
	a, err := x.openAgent(ctx, c)
	if err != nil {
		return nil, err
	}
	if x.uploaded != nil && x.uploadedTo == a {
		return x.uploaded, nil
	}
	templates, err := render.Templates(spec)
	if err != nil || len(templates) == 0 {
		return nil, err
	}
	door, err := x.door(ctx, c, a)
	if err != nil || door == nil {
		return nil, err
	}
	jobs := map[string]*stemcell.Job{}
	for _, t := range templates {
		data, err := door.blob(ctx, t.BlobstoreID)
		if errors.Is(err, errNoBlob) {
			return nil, nil // an agent without /blobs, or whose templates are elsewhere
		}
		if err != nil {
			return nil, blobError("GET /blobs", a.id, err)
		}
		if sum := sha1.Sum(data); !strings.Contains(t.SHA1, ":") && hex.EncodeToString(sum[:]) != strings.ToLower(t.SHA1) { //nolint:gosec // see above
			return nil, renderError(t.Name, fmt.Errorf("sha1 mismatch expected=%s actual=%x", t.SHA1, sum))
		}
		if jobs[t.Name], err = stemcell.ReadJob(bytes.NewReader(data)); err != nil {
			return nil, renderError(t.Name, err)
		}
	}
	if err := renderJobs(ctx, spec, jobs); err != nil {
		return nil, err
	}
	archive, err := render.Pack(jobs)
	if err != nil {
		return nil, err
	}
	if err := x.Fence(ctx); err != nil {
		return nil, err
	}
	if err := door.putBlob(ctx, archive.BlobstoreID, archive.SHA1, archive.Data); err != nil {
		return nil, blobError("PUT /blobs", a.id, err)
	}
	x.uploaded, x.uploadedTo = archive, a
	return archive, nil
}

// blobError leaves what already says what to do.
func blobError(method, agentID string, err error) error {
	var told *messages.Error
	if errors.As(err, &told) {
		return err
	}
	return agentError(method, agentID, err)
}

func renderJobs(ctx context.Context, spec map[string]any, jobs map[string]*stemcell.Job) error {
	raw, err := json.Marshal(spec)
	if err != nil {
		return fmt.Errorf("cannot encode the spec: %w", err)
	}
	for name, job := range jobs {
		files := []erb.File{{Name: "monit", Text: job.Monit}}
		for _, t := range job.Templates {
			files = append(files, erb.File{Name: t.Source, Text: t.Text})
		}
		if err := erb.Render(ctx, raw, files); err != nil {
			return renderError(name, err)
		}
		job.Monit = files[0].Text
		for i := range job.Templates {
			job.Templates[i].Text = files[i+1].Text
		}
	}
	return nil
}

func renderError(job string, err error) error {
	hint := "the template and the manifest's apply_spec.properties do not fit together: correct one of them and deploy again"
	if errors.Is(err, erb.ErrNoRuby) {
		hint = "the job's templates hold ERB: install ruby on the orchestrator's machine (Debian: apt-get install ruby) and deploy again"
	}
	return messages.Errorf(messages.CodeRenderFailed, "cannot render the job %s: %w", job, err).WithDetail("job", job).WithHint("%s", hint)
}

// errNoBlob is an agent's 404.
var errNoBlob = errors.New("the agent has no such blob")

// maxBlob bounds a job's archive.
const maxBlob = 64 << 20

func (h *httpsAgent) blob(ctx context.Context, id string) ([]byte, error) {
	resp, err := h.blobRequest(ctx, http.MethodGet, id, nil)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	switch resp.StatusCode {
	case http.StatusOK:
	case http.StatusNotFound:
		return nil, errNoBlob
	default:
		return nil, messages.Errorf(messages.CodeAgentFailed, "the agent's blobs: HTTP %d", resp.StatusCode)
	}
	return readBlob(resp.Body, id)
}

func (h *httpsAgent) putBlob(ctx context.Context, id, _ string, data []byte) error {
	resp, err := h.blobRequest(ctx, http.MethodPut, id, data)
	if err != nil {
		return err
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusCreated {
		return messages.Errorf(messages.CodeAgentFailed, "the agent does not take the rendered templates: HTTP %d", resp.StatusCode)
	}
	return nil
}

// blobRequest repeats while nobody listens there. The folder is the one of
// BOSH's DAV blobstores.
func (h *httpsAgent) blobRequest(ctx context.Context, method, id string, data []byte) (*http.Response, error) {
	sum := sha1.Sum([]byte(id)) //nolint:gosec // see above
	at := fmt.Sprintf("%s/blobs/%x/%s", strings.TrimSuffix(h.url, "/agent"), sum[:1], id)
	for pause := 50 * time.Millisecond; ; pause = min(2*pause, time.Second) {
		req, err := http.NewRequestWithContext(ctx, method, at, bytes.NewReader(data))
		if err != nil {
			return nil, err
		}
		if h.user != nil {
			password, _ := h.user.Password()
			req.SetBasicAuth(h.user.Username(), password)
		}
		resp, err := h.client.Do(req)
		if err == nil {
			return resp, nil
		}
		if err := poll.Pause(ctx, pause); err != nil {
			return nil, err
		}
	}
}

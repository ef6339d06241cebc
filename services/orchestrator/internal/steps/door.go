package steps

import (
	"context"
	"crypto/sha1" //nolint:gosec // BOSH's blob folders of 2014
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/microbosh/microbosh/pkg/messages"
)

// door is the way to an agent's blobs: templates come out, what they were
// rendered to goes in.
type door interface {
	blob(ctx context.Context, id string) ([]byte, error)
	putBlob(ctx context.Context, id, digest string, data []byte) error
}

var (
	_ door = (*httpsAgent)(nil)
	_ door = (*natsDoor)(nil)
)

// door is nil when the agent renders: over NATS the original's and ours do. The
// others have no way out for blobs there, so their templates are read from the
// blobstore that the manifest names.
func (x *Session) door(ctx context.Context, c Call, a *agent) (door, error) {
	if d, ok := a.transport.(*httpsAgent); ok {
		return d, nil
	}
	raw, err := x.ask(ctx, c, "info")
	var refused exception
	if errors.As(err, &refused) {
		return nil, nil // older than the method
	}
	if err != nil {
		return nil, err
	}
	var info struct {
		APIVersion int  `json:"api_version"`
		Renders    bool `json:"renders"`
	}
	if json.Unmarshal(raw, &info) != nil || info.APIVersion == 0 || info.Renders {
		return nil, nil
	}
	return x.natsDoor(c)
}

// natsDoor reads a DAV blobstore and writes by upload_blob.
type natsDoor struct {
	session        *Session
	call           Call
	endpoint       string
	user, password string
	client         *http.Client
}

func (x *Session) natsDoor(c Call) (*natsDoor, error) {
	var settings struct {
		Agent struct {
			Blobstore struct {
				Provider string
				Options  struct {
					Endpoint, User, Password string
					TLS                      struct{ Cert struct{ CA string } }
				}
			}
		}
	}
	raw, err := json.Marshal(x.Manifest.Cloud.Properties)
	if err == nil {
		err = json.Unmarshal(raw, &settings)
	}
	store := settings.Agent.Blobstore
	if err != nil || store.Provider != "dav" || store.Options.Endpoint == "" {
		return nil, messages.Errorf(messages.CodeRenderFailed, "the agent renders no templates, and over NATS nobody else can read them: cloud.properties.agent.blobstore is no dav blobstore").
			WithHint("use an mbus https://USER:PASSWORD@0.0.0.0:6868, where templates are read from the agent, or put the jobs' archives into a dav blobstore")
	}
	roots := &tls.Config{MinVersion: tls.VersionTLS12}
	if ca := store.Options.TLS.Cert.CA; ca != "" {
		roots.RootCAs = x509.NewCertPool()
		if !roots.RootCAs.AppendCertsFromPEM([]byte(ca)) {
			return nil, messages.Errorf(messages.CodeManifestInvalid, "cloud.properties.agent.blobstore.options.tls.cert.ca is no certificate")
		}
	}
	const limit = time.Minute
	return &natsDoor{
		session: x, call: c, endpoint: strings.TrimSuffix(store.Options.Endpoint, "/"), user: store.Options.User, password: store.Options.Password,
		client: &http.Client{Timeout: limit, Transport: &http.Transport{TLSClientConfig: roots, DisableKeepAlives: true}},
	}, nil
}

func (d *natsDoor) blob(ctx context.Context, id string) ([]byte, error) {
	sum := sha1.Sum([]byte(id)) //nolint:gosec // a folder's name
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("%s/%x/%s", d.endpoint, sum[:1], id), nil)
	if err != nil {
		return nil, messages.Errorf(messages.CodeManifestInvalid, "cloud.properties.agent.blobstore.options.endpoint is no URL") // the cause may show a password
	}
	if d.user != "" {
		req.SetBasicAuth(d.user, d.password)
	}
	resp, err := d.client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("cannot read the template %s: %w", id, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, messages.Errorf(messages.CodeRenderFailed, "the blobstore has no template %s: HTTP %d", id, resp.StatusCode).
			WithHint("put the jobs' archives of the apply spec into the blobstore of cloud.properties.agent.blobstore")
	}
	return readBlob(resp.Body, id)
}

// readBlob bounds a job's archive.
func readBlob(from io.Reader, id string) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(from, maxBlob+1))
	if err == nil && len(data) > maxBlob {
		err = messages.Errorf(messages.CodeAgentFailed, "the job's archive %s has more than %d bytes", id, maxBlob)
	}
	return data, err
}

// maxUpload is what fits into a message of a bus as BOSH has it.
const maxUpload = 700 << 10

func (d *natsDoor) putBlob(ctx context.Context, id, digest string, data []byte) error {
	if len(data) > maxUpload {
		return messages.Errorf(messages.CodeTooLarge, "the rendered templates have %d bytes, and over NATS an agent takes at most %d", len(data), maxUpload).
			WithHint("use an mbus https://USER:PASSWORD@0.0.0.0:6868")
	}
	_, err := d.session.ask(ctx, d.call, "upload_blob", map[string]string{
		"blob_id": id, "checksum": digest, "payload": base64.StdEncoding.EncodeToString(data),
	})
	return err
}

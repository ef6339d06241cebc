package openstack

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"github.com/microbosh/microbosh/pkg/messages"
)

// maxSettings bounds what is read of a registry's answer.
const maxSettings = 4 << 20

// httpRegistry is BOSH's own registry, over its HTTP API. Without a url there is
// none, and the user data alone must do.
type httpRegistry struct {
	url    string // with the credential
	client *http.Client
}

var _ keeper = httpRegistry{}

func (r httpRegistry) endpoint(string, int) (string, error) { return r.url, nil }

func (r httpRegistry) store(ctx context.Context, name string, settings []byte, _ []string, _ uint64) ([]byte, uint64, error) {
	if r.url == "" {
		return settings, 0, nil
	}
	_, err := r.do(ctx, http.MethodPut, name, settings)
	return settings, 0, err
}

func (r httpRegistry) get(ctx context.Context, name string) ([]byte, uint64, error) {
	if r.url == "" {
		return nil, 0, messages.Errorf(messages.CodeSettingsNotFound, "there is no registry")
	}
	answer, err := r.do(ctx, http.MethodGet, name, nil)
	if err != nil {
		return nil, 0, err
	}
	var body struct {
		Settings string `json:"settings"`
	}
	if json.Unmarshal(answer, &body) != nil {
		return nil, 0, messages.Errorf(messages.CodeMalformed, "cannot read the registry's settings of %s", name)
	}
	return []byte(body.Settings), 0, nil
}

func (r httpRegistry) setDisk(ctx context.Context, name, disk, path string, _ []string) error {
	have, _, err := r.get(ctx, name)
	if hasCode(err, messages.CodeSettingsNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	next, err := withDisk(have, disk, path)
	if err != nil || bytes.Equal(have, next) {
		return err
	}
	_, _, err = r.store(ctx, name, next, nil, 0)
	return err
}

func (r httpRegistry) delete(ctx context.Context, name string) error {
	if r.url == "" {
		return nil
	}
	_, err := r.do(ctx, http.MethodDelete, name, nil)
	if hasCode(err, messages.CodeSettingsNotFound) {
		return nil
	}
	return err
}

func (r httpRegistry) do(ctx context.Context, method, name string, body []byte) ([]byte, error) {
	at, err := url.JoinPath(r.url, "instances", name, "settings")
	if err != nil {
		return nil, messages.Errorf(messages.CodeManifestInvalid, "the registry's endpoint is no URL")
	}
	req, err := http.NewRequestWithContext(ctx, method, at, bytes.NewReader(body))
	if err != nil {
		return nil, messages.Errorf(messages.CodeManifestInvalid, "the registry's endpoint is no URL")
	}
	answer, err := r.client.Do(req)
	if err != nil {
		return nil, messages.Errorf(messages.CodeNoService, "the registry does not answer").WithHint("see that the registry runs at registry.endpoint")
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(io.LimitReader(answer.Body, maxSettings))
	switch {
	case err != nil:
		return nil, fmt.Errorf("cannot read the registry's answer: %w", err)
	case answer.StatusCode == http.StatusNotFound:
		return nil, messages.Errorf(messages.CodeSettingsNotFound, "the registry has no settings of %s", name)
	case answer.StatusCode >= http.StatusMultipleChoices:
		return nil, messages.Errorf(messages.CodeNoService, "the registry answers %s", answer.Status)
	}
	return text, nil
}

package bootstrap

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// MetadataAddress is where an OpenStack VM finds what is said about it.
const MetadataAddress = "http://169.254.169.254"

// maxDocument bounds what is read from metadata and registry.
const maxDocument = 4 << 20

// MetadataSource asks the EC2-style metadata service.
type MetadataSource struct {
	URI          string // without a path
	UserDataPath string // default /latest/user-data
	SSHKeysPath  string // default /latest/meta-data/public-keys/0/openssh-key
	Client       *http.Client
	Registry     Registry
}

// NewClient is an HTTP client for metadata and registries: no proxy, no
// redirect, and every answer within a bounded time.
func NewClient() *http.Client {
	const limit = 5 * time.Second
	return &http.Client{
		Timeout:   limit,
		Transport: &http.Transport{Proxy: nil, ResponseHeaderTimeout: limit, MaxIdleConns: 2, IdleConnTimeout: limit},
		CheckRedirect: func(*http.Request, []*http.Request) error {
			return http.ErrUseLastResponse
		},
	}
}

// Name says which.
func (s MetadataSource) Name() string { return "metadata " + s.URI }

// Fetch reads user data and, where there is one, the public key.
func (s MetadataSource) Fetch(ctx context.Context) (Found, error) {
	path, keysPath := s.UserDataPath, s.SSHKeysPath
	if path == "" {
		path = "/latest/user-data"
	}
	if keysPath == "" {
		keysPath = "/latest/meta-data/public-keys/0/openssh-key"
	}
	data, err := get(ctx, s.Client, s.URI+path, nil)
	if err != nil {
		return Found{}, err
	}
	found, err := fromUserData(ctx, decode(data), s.Registry)
	if err != nil {
		return Found{}, err
	}
	key, err := get(ctx, s.Client, s.URI+keysPath, nil)
	var missing permanent
	switch {
	case errors.As(err, &missing): // a VM without a key is fine
	case err != nil:
		return Found{}, fmt.Errorf("cannot get the OpenSSH public key: %w", err)
	case strings.TrimSpace(string(key)) != "":
		found.Keys = []string{strings.TrimSpace(string(key))}
	}
	return found, nil
}

// decode takes base64 off user data that came through a cloud which adds it.
func decode(data []byte) []byte {
	text := strings.TrimSpace(string(data))
	if strings.HasPrefix(text, "{") {
		return data
	}
	for _, coding := range []*base64.Encoding{base64.StdEncoding, base64.URLEncoding, base64.RawURLEncoding} {
		if plain, err := coding.DecodeString(text); err == nil {
			return plain
		}
	}
	return data
}

// get reads one document. Its errors never hold the password of a URL.
func get(ctx context.Context, client *http.Client, address string, user *url.Userinfo) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, permanent{errors.New("cannot read the endpoint: its URL is malformed")}
	}
	req.Header.Set("Accept", "application/json")
	if user != nil {
		password, _ := user.Password()
		req.SetBasicAuth(user.Username(), password)
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("cannot read the endpoint: %w", err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxDocument+1))
	if err != nil {
		return nil, fmt.Errorf("cannot read endpoint %s: %w", req.URL.Redacted(), err)
	}
	if len(body) > maxDocument {
		return nil, permanent{fmt.Errorf("cannot read endpoint %s: more than %d bytes", req.URL.Redacted(), maxDocument)}
	}
	if resp.StatusCode != http.StatusOK {
		err := fmt.Errorf("Endpoint %s returned HTTP %d", req.URL.Redacted(), resp.StatusCode) //nolint:staticcheck // BOSH's text
		if resp.StatusCode == http.StatusNotFound {
			return nil, permanent{err}
		}
		return nil, err
	}
	return body, nil
}

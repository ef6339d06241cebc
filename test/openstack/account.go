package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// maxAnswer bounds what is read of an answer.
const maxAnswer = 8 << 20

// account is a user's access to the cloud's APIs.
type account struct {
	client  http.Client
	token   string
	project string // its id
	user    string
}

type tree = map[string]any

func (s *stack) compute() string              { return s.URL(s.Nova) + "/v2.1" }
func (s *stack) volume(project string) string { return s.URL(s.Cinder) + "/v3/" + project }
func (s *stack) network() string              { return s.URL(s.Neutron) + "/v2.0" }
func (s *stack) identity() string             { return s.URL(s.Keystone) + "/v3" }

func (s *stack) signIn(ctx context.Context, user, project string) (*account, error) {
	a := &account{client: http.Client{Timeout: time.Minute}}
	domain := tree{"name": "Default"}
	var out struct {
		Token struct {
			Project struct {
				ID string `json:"id"`
			} `json:"project"`
			User struct {
				ID string `json:"id"`
			} `json:"user"`
		} `json:"token"`
	}
	header, err := a.do(ctx, http.MethodPost, s.identity()+"/auth/tokens", tree{"auth": tree{
		"identity": tree{"methods": []string{"password"}, "password": tree{"user": tree{"name": user, "password": s.Password, "domain": domain}}},
		"scope":    tree{"project": tree{"name": project, "domain": domain}},
	}}, &out)
	if err != nil {
		return nil, err
	}
	a.token, a.project, a.user = header.Get("X-Subject-Token"), out.Token.Project.ID, out.Token.User.ID
	return a, nil
}

func (a *account) get(ctx context.Context, url string, into any) error {
	_, err := a.do(ctx, http.MethodGet, url, nil, into)
	return err
}

func (a *account) do(ctx context.Context, method, url string, body, into any) (http.Header, error) {
	var text io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return nil, err
		}
		text = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, url, text)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("X-Auth-Token", a.token)
	resp, err := a.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return nil, fmt.Errorf("cannot read the answer of %s %s: %w", method, url, err)
	}
	if resp.StatusCode >= http.StatusMultipleChoices {
		return nil, fmt.Errorf("%s %s answers %s: %.300s", method, url, resp.Status, b)
	}
	if into == nil {
		return resp.Header, nil
	}
	if err := json.Unmarshal(b, into); err != nil {
		return nil, fmt.Errorf("cannot read the answer of %s %s: %w", method, url, err)
	}
	return resp.Header, nil
}

// ensure gives the id of the one with that name in a collection, and makes it
// when there is none. The plural is also the collection's path below base.
func (a *account) ensure(ctx context.Context, base, plural, singular string, want tree) (string, error) {
	var have map[string]json.RawMessage
	if err := a.get(ctx, base+"/"+plural, &have); err != nil {
		return "", err
	}
	var list []struct {
		ID   string `json:"id"`
		Name string `json:"name"`
	}
	if err := json.Unmarshal(have[strings.ReplaceAll(plural, "-", "_")], &list); err != nil {
		return "", fmt.Errorf("cannot read the %s: %w", plural, err)
	}
	for _, item := range list {
		if item.Name == want["name"] {
			return item.ID, nil
		}
	}
	var made map[string]struct {
		ID string `json:"id"`
	}
	if _, err := a.do(ctx, http.MethodPost, base+"/"+plural, tree{singular: want}, &made); err != nil {
		return "", err
	}
	return made[singular].ID, nil
}

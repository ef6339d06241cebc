package lab

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

// DeleteServers deletes every server behind microbosh's back and returns when
// they are gone.
func (l *Lab) DeleteServers() {
	l.t.Helper()
	token, _ := l.token()
	for _, s := range l.Inventory().Servers {
		l.request(http.MethodDelete, "/compute/v2.1/servers/"+s.ID, token, nil)
	}
	for deadline := time.Now().Add(ready); len(l.Inventory().Servers) > 0; {
		if time.Now().After(deadline) {
			l.t.Fatal("the servers do not go")
		}
	}
}

// Untag takes every tag of ours off what is in the cloud, as if another tool
// had made it.
func (l *Lab) Untag() {
	l.t.Helper()
	token, project := l.token()
	inv := l.Inventory()
	for _, s := range inv.Servers {
		l.request(http.MethodPut, "/compute/v2.1/servers/"+s.ID+"/metadata", token, strings.NewReader(`{"metadata":{}}`))
	}
	for _, v := range inv.Volumes {
		l.request(http.MethodPut, "/volume/v3/"+project+"/volumes/"+v.ID, token, strings.NewReader(`{"volume":{"metadata":{}}}`))
	}
	for _, i := range inv.Images {
		l.request(http.MethodPatch, "/image/v2/images/"+i.ID, token, strings.NewReader(`[{"op":"replace","path":"/tags","value":[]}]`))
	}
}

// Held waits until devcloud holds a request because of a fault of mode hold.
func (l *Lab) Held() {
	l.t.Helper()
	ctx, cancel := context.WithTimeout(l.t.Context(), ready)
	defer cancel()
	if !l.Holds(ctx) {
		l.t.Fatal("devcloud holds nothing")
	}
}

// Holds waits as Held does, until ctx ends; it tells whether a request is held.
func (l *Lab) Holds(ctx context.Context) bool {
	for ctx.Err() == nil {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, l.url+"/devcloud/held?wait=30s", nil)
		if err != nil {
			return false
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return false
		}
		var held []json.RawMessage
		err = json.NewDecoder(io.LimitReader(resp.Body, maxAnswer)).Decode(&held)
		_ = resp.Body.Close()
		if err == nil && len(held) > 0 {
			return true
		}
	}
	return false
}

// Release lets every held request go on.
func (l *Lab) Release() {
	l.t.Helper()
	l.request(http.MethodPost, "/devcloud/release", "", nil)
}

// token gives a token and the project that it is for.
func (l *Lab) token() (token, project string) {
	l.t.Helper()
	domain := map[string]string{"name": "Default"}
	body, err := json.Marshal(map[string]any{"auth": map[string]any{
		"identity": map[string]any{"methods": []string{"password"}, "password": map[string]any{
			"user": map[string]any{"name": "admin", "password": Marker + "-cloud", "domain": domain},
		}},
		"scope": map[string]any{"project": map[string]any{"name": "demo", "domain": domain}},
	}})
	if err != nil {
		l.t.Fatal(err)
	}
	resp, err := http.Post(l.url+"/identity/v3/auth/tokens", "application/json", bytes.NewReader(body))
	if err != nil {
		l.t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusCreated {
		l.t.Fatalf("devcloud gives no token: %s", resp.Status)
	}
	var issued struct {
		Token struct {
			Project struct {
				ID string `json:"id"`
			} `json:"project"`
		} `json:"token"`
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxAnswer)).Decode(&issued); err != nil {
		l.t.Fatal(err)
	}
	return resp.Header.Get("X-Subject-Token"), issued.Token.Project.ID
}

func (l *Lab) request(method, path, token string, body io.Reader) []byte {
	l.t.Helper()
	req, err := http.NewRequestWithContext(l.t.Context(), method, l.url+path, body)
	if err != nil {
		l.t.Fatal(err)
	}
	req.Header.Set("X-Auth-Token", token)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		l.t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err == nil && resp.StatusCode >= 300 {
		err = fmt.Errorf("%s: %s", resp.Status, answer)
	}
	if err != nil {
		l.t.Fatalf("%s %s: %v", method, path, err)
	}
	return answer
}

// maxAnswer bounds what is read of devcloud.
const maxAnswer = 1 << 20

// DoubleVolumes makes a copy of every volume, tags and all, as a request does
// that was thought lost and arrives late.
func (l *Lab) DoubleVolumes() {
	l.t.Helper()
	token, project := l.token()
	volumes := "/volume/v3/" + project + "/volumes"
	var list struct {
		Volumes []struct {
			Name     string            `json:"name"`
			Size     int               `json:"size"`
			Metadata map[string]string `json:"metadata"`
		} `json:"volumes"`
	}
	body := l.request(http.MethodGet, volumes+"/detail", token, nil)
	if err := json.Unmarshal(body, &list); err != nil || len(list.Volumes) == 0 {
		l.t.Fatalf("devcloud lists no volumes: %s", body)
	}
	for _, v := range list.Volumes {
		body, err := json.Marshal(map[string]any{"volume": v})
		if err != nil {
			l.t.Fatal(err)
		}
		l.request(http.MethodPost, volumes, token, bytes.NewReader(body))
	}
}

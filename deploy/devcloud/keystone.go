package devcloud

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/hex"
	"net/http"
	"time"
)

// issued is a token's answer: its id travels in a header.
type issued struct {
	id   string
	body any
}

func (c *Cloud) keystone(open func(string, handle)) {
	version := func(*http.Request) (int, any, error) {
		return http.StatusOK, map[string]any{"version": map[string]any{
			"id": "v3.14", "status": "stable", "links": []map[string]string{{"rel": "self", "href": c.URL() + "/identity/v3/"}},
		}}, nil
	}
	open("GET /identity/v3", version)
	open("GET /identity/v3/{$}", version)
	open("GET /identity/{$}", func(*http.Request) (int, any, error) {
		return http.StatusMultipleChoices, map[string]any{"versions": map[string]any{"values": []map[string]any{{
			"id": "v3.14", "status": "stable", "links": []map[string]string{{"rel": "self", "href": c.URL() + "/identity/v3/"}},
		}}}}, nil
	})
	open("POST /identity/v3/auth/tokens", c.issue)
	open("GET /identity/v3/auth/tokens", c.validate)
}

type named struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

type authRequest struct {
	Auth struct {
		Identity struct {
			Methods  []string `json:"methods"`
			Password struct {
				User struct {
					ID       string `json:"id"`
					Name     string `json:"name"`
					Domain   named  `json:"domain"`
					Password string `json:"password"`
				} `json:"user"`
			} `json:"password"`
			Credential struct {
				ID     string `json:"id"`
				Secret string `json:"secret"`
			} `json:"application_credential"`
			Token struct {
				ID string `json:"id"`
			} `json:"token"`
		} `json:"identity"`
	} `json:"auth"`
}

// issue checks a password, or an application credential whose id is devcloud.
func (c *Cloud) issue(r *http.Request) (int, any, error) {
	var req authRequest
	if err := readJSON(r, &req); err != nil {
		return 0, nil, err
	}
	identity := req.Auth.Identity
	password, known := identity.Password.User.Password, identity.Password.User.Name == User || identity.Password.User.ID == User
	if identity.Credential.ID != "" {
		password, known = identity.Credential.Secret, identity.Credential.ID == "devcloud"
	}
	if !known || subtle.ConstantTimeCompare([]byte(password), []byte(c.o.Password)) != 1 {
		return 0, nil, keystoneError(http.StatusUnauthorized, "Unauthorized", "The request you have made requires authentication.")
	}
	b := make([]byte, 16)
	if _, err := rand.Read(b); err != nil {
		return 0, nil, err
	}
	id, until := hex.EncodeToString(b), time.Now().Add(c.o.TokenLife)
	c.mu.Lock()
	c.tokens[id] = until
	c.mu.Unlock()
	return http.StatusCreated, issued{id, c.token(until)}, nil
}

func (c *Cloud) validate(r *http.Request) (int, any, error) {
	id := r.Header.Get("X-Subject-Token")
	c.mu.Lock()
	until, ok := c.tokens[id]
	c.mu.Unlock()
	if !ok || time.Now().After(until) {
		return 0, nil, keystoneError(http.StatusNotFound, "Not Found", "Could not find token.")
	}
	return http.StatusOK, issued{id, c.token(until)}, nil
}

func (c *Cloud) token(until time.Time) any {
	type m = map[string]any
	domain := m{"id": "default", "name": Domain}
	return m{"token": m{
		"methods": []string{"password"}, "expires_at": until.UTC().Format("2006-01-02T15:04:05.000000Z"),
		"issued_at": time.Now().UTC().Format("2006-01-02T15:04:05.000000Z"),
		"user":      m{"id": User, "name": User, "domain": domain},
		"project":   m{"id": c.projectID, "name": Project, "domain": domain},
		"roles":     []m{{"id": "member", "name": "member"}},
		"catalog": []m{
			c.service("identity", "keystone", "/identity/v3"), c.service("image", "glance", "/image"),
			c.service("compute", "nova", "/compute/v2.1"), c.service("network", "neutron", "/network"),
			c.service("block-storage", "cinder", "/volume/v3/"+c.projectID), c.service("volumev3", "cinderv3", "/volume/v3/"+c.projectID),
		},
	}}
}

func (c *Cloud) service(kind, name, path string) map[string]any {
	var endpoints []map[string]any
	for _, face := range []string{"public", "internal", "admin"} {
		endpoints = append(endpoints, map[string]any{
			"id": name + "-" + face, "interface": face, "region": Region, "region_id": Region, "url": c.URL() + path,
		})
	}
	return map[string]any{"id": name, "type": kind, "name": name, "endpoints": endpoints}
}

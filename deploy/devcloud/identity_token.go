package devcloud

import (
	"crypto/subtle"
	"net/http"
	"slices"
	"strings"
	"time"
)

const keystoneTime = "2006-01-02T15:04:05.000000Z"

// token is what a token stands for.
type token struct {
	until   time.Time
	methods []string
	scoped  bool
}

// issued is a token's answer: its id travels in a header.
type issued struct {
	id   string
	body any
}

type reference struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

// is tells whether the reference means the thing with this id and name.
func (r reference) is(id, name string) bool {
	return r.ID == id || r.ID == "" && r.Name == name
}

type userReference struct {
	reference
	Domain   reference `json:"domain"`
	Password string    `json:"password"`
}

// known users are named with their domain, or by their id.
func (u userReference) known() bool {
	return u.ID == userID || u.ID == "" && u.Name == User && u.Domain.is(domainID, Domain)
}

type authRequest struct {
	Auth struct {
		Identity struct {
			Methods  []string `json:"methods"`
			Password struct {
				User userReference `json:"user"`
			} `json:"password"`
			Credential struct {
				reference
				Secret string        `json:"secret"`
				User   userReference `json:"user"`
			} `json:"application_credential"`
			Token reference `json:"token"`
		} `json:"identity"`
		Scope *struct {
			Project *struct {
				reference
				Domain reference `json:"domain"`
			} `json:"project"`
			Domain *reference `json:"domain"`
			System any        `json:"system"`
		} `json:"scope"`
	} `json:"auth"`
}

func unauthorized() *failure {
	return keystoneError(http.StatusUnauthorized, "The request you have made requires authentication.")
}

func (c *Cloud) issue(r *http.Request) (int, any, error) {
	var req authRequest
	if err := readJSON(r, &req); err != nil {
		return 0, nil, err
	}
	id := req.Auth.Identity
	if len(id.Methods) == 0 {
		return 0, nil, keystoneError(http.StatusBadRequest, "'methods' is a required property")
	}
	t := token{until: time.Now().Add(c.o.TokenLife), methods: id.Methods}
	for _, method := range id.Methods {
		ok := false
		switch method {
		case "password":
			ok = id.Password.User.known() && c.matches(id.Password.User.Password)
		case "application_credential":
			ok = c.matches(id.Credential.Secret) &&
				(id.Credential.ID == Credential || id.Credential.ID == "" && id.Credential.Name == Credential && id.Credential.User.known())
			t.scoped = ok
		case "token":
			old, living := c.tokens[id.Token.ID]
			if ok = living && time.Now().Before(old.until); ok {
				t.until = old.until
			}
		}
		if !ok {
			return 0, nil, unauthorized()
		}
	}
	if scope := req.Auth.Scope; scope != nil {
		switch {
		case scope.Project != nil:
			p := scope.Project
			if p.ID != c.projectID && (p.ID != "" || p.Name != Project || !p.Domain.is(domainID, Domain)) {
				return 0, nil, unauthorized()
			}
			t.scoped = true
		case scope.Domain != nil && !scope.Domain.is(domainID, Domain):
			return 0, nil, unauthorized()
		}
	}
	name := "gAAAAAB" + compactID() + compactID()
	c.tokens[name] = t
	return http.StatusCreated, issued{name, c.tokenBody(t, !r.URL.Query().Has("nocatalog"))}, nil
}

func (c *Cloud) matches(password string) bool {
	return subtle.ConstantTimeCompare([]byte(password), []byte(c.o.Password)) == 1
}

// subject finds the token that a request asks about.
func (c *Cloud) subject(r *http.Request) (string, token, error) {
	if err := c.authenticate(r); err != nil {
		return "", token{}, err
	}
	id := r.Header.Get("X-Subject-Token")
	t, ok := c.tokens[id]
	if !ok || time.Now().After(t.until) {
		return "", token{}, keystoneError(http.StatusNotFound, "Could not find token: "+strings.Repeat("*", min(len(id), 8))+".")
	}
	return id, t, nil
}

func (c *Cloud) validate(r *http.Request) (int, any, error) {
	id, t, err := c.subject(r)
	if err != nil {
		return 0, nil, err
	}
	return http.StatusOK, issued{id, c.tokenBody(t, true)}, nil
}

func (c *Cloud) revoke(r *http.Request) (int, any, error) {
	id, _, err := c.subject(r)
	if err != nil {
		return 0, nil, err
	}
	delete(c.tokens, id)
	return http.StatusNoContent, nil, nil
}

// authenticate checks a request's token. The caller holds the mutex.
func (c *Cloud) authenticate(r *http.Request) error {
	id := r.Header.Get("X-Auth-Token")
	t, ok := c.tokens[id]
	if ok && time.Now().Before(t.until) {
		return nil
	}
	delete(c.tokens, id)
	f := unauthorized()
	f.header = map[string]string{"WWW-Authenticate": `Keystone uri="` + c.URL() + `/identity"`}
	return f
}

// authorized lets a request with a living token through.
func (c *Cloud) authorized(e endpoint) endpoint {
	return func(r *http.Request) (int, any, error) {
		if err := c.authenticate(r); err != nil {
			return 0, nil, err
		}
		return e(r)
	}
}

func (c *Cloud) tokenBody(t token, catalog bool) any {
	domain := m{"id": domainID, "name": Domain}
	body := m{
		"methods": slices.Clone(t.methods), "expires_at": t.until.UTC().Format(keystoneTime),
		"issued_at": time.Now().UTC().Format(keystoneTime), "audit_ids": []string{compactID()[:22]},
		"user": m{"id": userID, "name": User, "domain": domain, "password_expires_at": nil},
	}
	if t.scoped {
		body["project"] = m{"id": c.projectID, "name": Project, "domain": domain}
		body["is_domain"] = false
		body["roles"] = []m{{"id": "member", "name": "member"}}
		if catalog {
			body["catalog"] = c.catalog()
		}
	}
	return m{"token": body}
}

package devcloud

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
)

// maxBody bounds requests, but for the bytes of an image.
const maxBody = 4 << 20

type m = map[string]any

// endpoint answers with a status and a body, nil for none.
type endpoint func(*http.Request) (int, any, error)

// upload is an endpoint that reads a body of any length without the mutex.
type upload func(w http.ResponseWriter, r *http.Request) error

func (c *Cloud) handler() http.Handler {
	mux := http.NewServeMux()
	open := func(pattern string, e endpoint) { mux.Handle(pattern, c.answer(c.locked(e))) }
	private := func(pattern string, e endpoint) { mux.Handle(pattern, c.answer(c.locked(c.authorized(e)))) }
	c.identityRoutes(open)
	c.imageRoutes(open, private, func(pattern string, u upload) { mux.Handle(pattern, c.stream(u)) })
	c.computeRoutes(open, private)
	c.networkRoutes(open, private)
	c.volumeRoutes(open, private)
	c.balancerRoutes(open, private)
	c.controlRoutes(mux)
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		serviceError(r.URL.Path, http.StatusNotFound, "The resource could not be found.").write(w, r)
	})
	return c.misbehaving(mux)
}

func (c *Cloud) locked(e endpoint) endpoint {
	return func(r *http.Request) (int, any, error) {
		c.mu.Lock()
		defer c.mu.Unlock()
		return e(r)
	}
}

// answer reads the body before the mutex is taken: a slow client holds up nobody.
func (c *Cloud) answer(e endpoint) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
		if err != nil {
			serviceError(r.URL.Path, http.StatusRequestEntityTooLarge, "The request is too large.").write(w, r)
			return
		}
		r.Body = &memory{b: b}
		status, body, err := e(r)
		c.reply(w, r, status, body, err)
	})
}

func (c *Cloud) stream(u upload) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c.mu.Lock()
		err := c.authenticate(r)
		c.mu.Unlock()
		if err == nil {
			err = u(w, r)
		}
		if err != nil {
			c.reply(w, r, 0, nil, err)
		}
	})
}

func (c *Cloud) reply(w http.ResponseWriter, r *http.Request, status int, body any, err error) {
	version(w, r)
	w.Header().Set("X-OpenStack-Request-Id", "req-"+compactID())
	var f *failure
	switch {
	case errors.As(err, &f):
		f.write(w, r)
	case err != nil:
		serviceError(r.URL.Path, http.StatusBadRequest, err.Error()).write(w, r)
	case body == nil:
		w.WriteHeader(status)
	default:
		if t, ok := body.(issued); ok {
			w.Header().Set("X-Subject-Token", t.id)
			body = t.body
		}
		writeJSON(w, status, body)
	}
}

func writeJSON(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // the client may have gone
}

// memory is a body that was read already.
type memory struct {
	b  []byte
	at int
}

func (m *memory) Read(p []byte) (int, error) {
	if m.at == len(m.b) {
		return 0, io.EOF
	}
	n := copy(p, m.b[m.at:])
	m.at += n
	return n, nil
}

func (m *memory) Close() error { return nil }

func readJSON(r *http.Request, into any) error {
	if err := json.NewDecoder(r.Body).Decode(into); err != nil {
		return fmt.Errorf("Malformed request body: %w", err) //nolint:staticcheck // the services' text
	}
	return nil
}

// page cuts a listing by limit and marker; the link leads to the rest, "" when
// there is none.
func page[T resource](r *http.Request, list []T, fallback int) (part []T, next string, err error) {
	q := r.URL.Query()
	if marker := q.Get("marker"); marker != "" {
		at := -1
		for i, v := range list {
			if v.top().ID == marker {
				at = i
			}
		}
		if at < 0 {
			return nil, "", serviceError(r.URL.Path, http.StatusBadRequest, fmt.Sprintf("marker [%s] not found", marker))
		}
		list = list[at+1:]
	}
	limit := fallback
	if text := q.Get("limit"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 0 {
			return nil, "", serviceError(r.URL.Path, http.StatusBadRequest, "limit param must be an integer, and not negative")
		}
		limit = n
	}
	if limit == 0 || len(list) <= limit {
		return list, "", nil
	}
	list = list[:limit]
	q.Set("marker", list[limit-1].top().ID)
	link := url.URL{Path: r.URL.Path, RawQuery: q.Encode()}
	return list, link.String(), nil
}

// links is what Nova, Neutron and Cinder add to a listing that goes on.
func (c *Cloud) links(body m, key, next string) m {
	if next != "" {
		body[key] = []m{{"rel": "next", "href": c.URL() + next}}
	}
	return body
}

package devcloud

import (
	"fmt"
	"html"
	"net/http"
	"strings"
)

// failure is an error answer in its service's own shape.
type failure struct {
	status int
	body   any
	glance string            // Glance answers JSON or a page, as asked
	header map[string]string // Retry-After, WWW-Authenticate
}

func (f *failure) Error() string { return fmt.Sprintf("HTTP %d", f.status) }

// faultNames are the keys that Nova and Cinder put around an error.
var faultNames = map[int]string{
	400: "badRequest", 401: "unauthorized", 403: "forbidden", 404: "itemNotFound", 405: "badMethod", 409: "conflictingRequest",
	413: "overLimit", 415: "badMediaType", 429: "overLimit", 501: "notImplemented", 503: "serviceUnavailable",
}

// novaError is Nova's and Cinder's.
func novaError(status int, format string, args ...any) *failure {
	name, ok := faultNames[status]
	if !ok {
		name = "computeFault"
	}
	return &failure{status: status, body: m{name: m{"code": status, "message": fmt.Sprintf(format, args...)}}}
}

func neutronError(status int, kind, format string, args ...any) *failure {
	return &failure{status: status, body: m{"NeutronError": m{"type": kind, "message": fmt.Sprintf(format, args...), "detail": ""}}}
}

func keystoneError(status int, message string) *failure {
	return &failure{status: status, body: m{"error": m{"code": status, "title": http.StatusText(status), "message": message}}}
}

func octaviaError(status int, format string, args ...any) *failure {
	code := "Client"
	if status >= http.StatusInternalServerError {
		code = "Server"
	}
	return &failure{status: status, body: m{"faultcode": code, "faultstring": fmt.Sprintf(format, args...), "debuginfo": nil}}
}

func glanceError(status int, format string, args ...any) *failure {
	return &failure{status: status, glance: fmt.Sprintf(format, args...)}
}

// serviceOf names the service that a path belongs to, "" for none. Keystone is
// at the root, too.
func serviceOf(path string) string {
	first, _, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	switch first {
	case "identity", "image", "compute", "network", "volume", "load-balancer":
		return first
	case "v3", "":
		return "identity"
	}
	return ""
}

// serviceError is an error in the shape of the service that the path belongs to.
func serviceError(path string, status int, message string) *failure {
	switch serviceOf(path) {
	case "identity":
		return keystoneError(status, message)
	case "load-balancer":
		return octaviaError(status, "%s", message)
	case "image":
		return glanceError(status, "%s", message)
	case "network":
		return neutronError(status, "HTTP"+strings.ReplaceAll(http.StatusText(status), " ", ""), "%s", message)
	}
	return novaError(status, "%s", message)
}

func (f *failure) write(w http.ResponseWriter, r *http.Request) {
	for k, v := range f.header {
		w.Header().Set(k, v)
	}
	if f.glance == "" {
		writeJSON(w, f.status, f.body)
		return
	}
	title := http.StatusText(f.status)
	if strings.Contains(r.Header.Get("Accept"), "json") {
		writeJSON(w, f.status, m{"message": f.glance + "<br /><br />\n\n\n", "code": fmt.Sprintf("%d %s", f.status, title), "title": title})
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=UTF-8")
	w.WriteHeader(f.status)
	fmt.Fprintf(w, "<html>\n <head>\n  <title>%d %s</title>\n </head>\n <body>\n  <h1>%d %s</h1>\n  %s<br /><br />\n\n\n\n </body>\n</html>",
		f.status, title, f.status, title, html.EscapeString(f.glance))
}

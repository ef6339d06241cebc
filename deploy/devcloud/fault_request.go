package devcloud

import (
	"context"
	"net/http"
)

type faultKey struct{}

// withFault tells the handler of a request which fault it meets, for the modes
// that change what is created.
func withFault(r *http.Request, f Fault) *http.Request {
	return r.WithContext(context.WithValue(r.Context(), faultKey{}, f))
}

// hidden is from how many listings the thing that r creates is missing.
func hidden(r *http.Request) int {
	f, ok := r.Context().Value(faultKey{}).(Fault)
	if !ok || f.Mode != ModeHide {
		return 0
	}
	return f.Lists
}

// doomed is the fault text of the server that r creates.
func doomed(r *http.Request) string {
	f, ok := r.Context().Value(faultKey{}).(Fault)
	if !ok || f.Mode != ModeError {
		return ""
	}
	if f.Message == "" {
		return "No valid host was found."
	}
	return f.Message
}

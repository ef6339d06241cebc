package settings

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/rs/zerolog"

	"github.com/microbosh/microbosh/pkg/messages"
)

// Words of BOSH's registry for the status of an answer.
const (
	statusOK       = "ok"
	statusDenied   = "access_denied"
	statusNotFound = "not_found"
	statusError    = "error"
)

const maxRequests = 256 // at a time

// API is BOSH's registry over HTTP: GET, PUT and DELETE of
// /instances/<name>/settings. Clients look whether the code is 200; the others
// tell people why not.
type API struct {
	store      *Store
	credential *Credential
	log        zerolog.Logger
	slots      chan struct{}
}

// NewAPI makes one.
func NewAPI(store *Store, credential *Credential, log zerolog.Logger) *API {
	return &API{store: store, credential: credential, log: log, slots: make(chan struct{}, maxRequests)}
}

type answer struct {
	Status   string  `json:"status"`
	Settings *string `json:"settings,omitempty"`
}

func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	select {
	case a.slots <- struct{}{}:
		defer func() { <-a.slots }()
	default:
		w.Header().Set("Retry-After", "1")
		say(w, http.StatusServiceUnavailable, answer{Status: statusError})
		return
	}
	name, ok := instance(r.URL.Path)
	if !ok {
		say(w, http.StatusNotFound, answer{Status: statusNotFound})
		return
	}
	switch r.Method {
	case http.MethodGet:
		a.get(w, r, name)
	case http.MethodPut, http.MethodDelete:
		if !a.credential.Matches(r) {
			w.Header().Set("WWW-Authenticate", `Basic realm="Bosh Registry"`)
			say(w, http.StatusUnauthorized, answer{Status: statusDenied})
			return
		}
		if r.Method == http.MethodPut {
			a.put(w, r, name)
		} else {
			a.delete(w, r, name)
		}
	default:
		say(w, http.StatusNotFound, answer{Status: statusNotFound})
	}
}

// get answers services and the instance itself: by its own credential or, as in
// BOSH also after a wrong password, by its address.
func (a *API) get(w http.ResponseWriter, r *http.Request, name string) {
	in, err := a.store.Get(r.Context(), name)
	if err != nil {
		a.fail(w, r, name, err)
		return
	}
	if !a.credential.MatchesInstance(r, name) && !from(r, in.Addresses) {
		a.log.Warn().Str("vm", name).Str("from", r.RemoteAddr).Msg("settings refused: not the instance's address")
		say(w, http.StatusForbidden, answer{Status: statusDenied})
		return
	}
	write(w, http.StatusOK, in.answer)
}

func (a *API) put(w http.ResponseWriter, r *http.Request, name string) {
	document, err := io.ReadAll(http.MaxBytesReader(w, r.Body, MaxSettings))
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		say(w, http.StatusRequestEntityTooLarge, answer{Status: statusError})
		return
	case err != nil:
		say(w, http.StatusBadRequest, answer{Status: statusError})
		return
	}
	if err := a.store.Replace(r.Context(), name, document); err != nil {
		a.fail(w, r, name, err)
		return
	}
	a.log.Info().Str("vm", name).Msg("settings stored")
	say(w, http.StatusOK, answer{Status: statusOK})
}

func (a *API) delete(w http.ResponseWriter, r *http.Request, name string) {
	if err := a.store.Delete(r.Context(), name); err != nil {
		a.fail(w, r, name, err)
		return
	}
	a.log.Info().Str("vm", name).Msg("settings deleted")
	say(w, http.StatusOK, answer{Status: statusOK})
}

func (a *API) fail(w http.ResponseWriter, r *http.Request, name string, err error) {
	code, status := http.StatusInternalServerError, statusError
	switch messages.CodeOf(err) {
	case messages.CodeSettingsNotFound:
		code, status = http.StatusNotFound, statusNotFound
	case messages.CodeMalformed, messages.CodeInvalidName:
		code = http.StatusBadRequest
	case messages.CodeTooLarge:
		code = http.StatusRequestEntityTooLarge
	case messages.CodeConflict:
		code = http.StatusConflict
	case messages.CodeBusUnreachable:
		code = http.StatusServiceUnavailable
		w.Header().Set("Retry-After", "1")
	default:
	}
	if code >= http.StatusInternalServerError {
		a.log.Error().Err(err).Str("vm", name).Str("method", r.Method).Msg("request failed")
	}
	say(w, code, answer{Status: status})
}

func say(w http.ResponseWriter, code int, a answer) { write(w, code, encoded(a)) }

func write(w http.ResponseWriter, code int, body []byte) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(code)
	_, _ = w.Write(body)
}

func encoded(a answer) []byte {
	b, _ := json.Marshal(a) // strings alone
	return append(b, '\n')
}

// instance reads the name out of /instances/<name>/settings. What cannot be a
// name is no route.
func instance(path string) (string, bool) {
	name, ok := strings.CutPrefix(path, "/instances/")
	if !ok {
		return "", false
	}
	name, ok = strings.CutSuffix(name, "/settings")
	if !ok {
		return "", false
	}
	_, err := messages.ParseToken("instance name", name)
	return name, err == nil
}

// from tells whether the connection itself comes from one of the addresses.
func from(r *http.Request, addresses []netip.Addr) bool {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return false
	}
	return slices.Contains(addresses, peer.Addr().Unmap().WithZone(""))
}

package devcloud

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"
)

// maxHeldWait bounds how long GET /devcloud/held waits.
const maxHeldWait = time.Minute

// SetFaults replaces all faults and starts counting anew.
func (c *Cloud) SetFaults(list ...Fault) error { return c.faults.set(list) }

// Calls lists the last requests, in the order of their answers.
func (c *Cloud) Calls() []Call { return c.faults.calls() }

// Held waits until a fault of mode hold or hold_after holds a request, and tells
// which are held.
func (c *Cloud) Held(ctx context.Context) ([]Call, error) { return c.faults.holding(ctx) }

// Release lets every held request go on.
func (c *Cloud) Release() { c.faults.release() }

// controlRoutes serve tests and people at /devcloud: no token, never a fault.
func (c *Cloud) controlRoutes(mux *http.ServeMux) {
	mux.HandleFunc("GET /devcloud/state", func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, http.StatusOK, c.Inventory()) })
	mux.HandleFunc("GET /devcloud/calls", func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, http.StatusOK, c.Calls()) })
	mux.HandleFunc("GET /devcloud/held", func(w http.ResponseWriter, r *http.Request) {
		wait, err := time.ParseDuration(r.URL.Query().Get("wait"))
		if err != nil {
			wait = 0
		}
		ctx, cancel := context.WithTimeout(r.Context(), min(wait, maxHeldWait))
		defer cancel()
		held, err := c.Held(ctx)
		if err != nil && !errors.Is(err, context.DeadlineExceeded) {
			return
		}
		writeJSON(w, http.StatusOK, held)
	})
	mux.HandleFunc("POST /devcloud/release", func(w http.ResponseWriter, _ *http.Request) {
		c.Release()
		w.WriteHeader(http.StatusNoContent)
	})
	mux.HandleFunc("PUT /devcloud/faults", func(w http.ResponseWriter, r *http.Request) {
		var list []Fault
		decoder := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody))
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(&list); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		if err := c.SetFaults(list...); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	})
}

package devcloud

import (
	"maps"
	"net/http"

	"github.com/google/uuid"
)

func newID() string { return uuid.NewString() }

// metadata serves <root>/{id}/metadata, alike in Nova and Cinder.
func metadata(private func(string, endpoint), root string, of func(id string) (map[string]string, error)) {
	with := func(do func(have map[string]string, r *http.Request) (int, any, error)) endpoint {
		return func(r *http.Request) (int, any, error) {
			have, err := of(r.PathValue("id"))
			if err != nil {
				return 0, nil, err
			}
			return do(have, r)
		}
	}
	merge := func(replace bool) endpoint {
		return with(func(have map[string]string, r *http.Request) (int, any, error) {
			var req struct {
				Metadata map[string]string `json:"metadata"`
			}
			if err := readJSON(r, &req); err != nil {
				return 0, nil, err
			}
			if err := checkMetadata(req.Metadata); err != nil {
				return 0, nil, err
			}
			if replace {
				clear(have)
			}
			maps.Copy(have, req.Metadata)
			return http.StatusOK, m{"metadata": copied(have)}, nil
		})
	}
	private("GET "+root+"/{id}/metadata", with(func(have map[string]string, _ *http.Request) (int, any, error) {
		return http.StatusOK, m{"metadata": copied(have)}, nil
	}))
	private("POST "+root+"/{id}/metadata", merge(false))
	private("PUT "+root+"/{id}/metadata", merge(true))
	private("GET "+root+"/{id}/metadata/{key}", with(func(have map[string]string, r *http.Request) (int, any, error) {
		key := r.PathValue("key")
		value, ok := have[key]
		if !ok {
			return 0, nil, novaError(http.StatusNotFound, "Metadata item was not found")
		}
		return http.StatusOK, m{"meta": m{key: value}}, nil
	}))
	private("PUT "+root+"/{id}/metadata/{key}", with(func(have map[string]string, r *http.Request) (int, any, error) {
		var req struct {
			Meta map[string]string `json:"meta"`
		}
		if err := readJSON(r, &req); err != nil {
			return 0, nil, err
		}
		key := r.PathValue("key")
		value, ok := req.Meta[key]
		if !ok || len(req.Meta) != 1 {
			return 0, nil, novaError(http.StatusBadRequest, "Request body and URI mismatch")
		}
		if err := checkMetadata(req.Meta); err != nil {
			return 0, nil, err
		}
		have[key] = value
		return http.StatusOK, m{"meta": m{key: value}}, nil
	}))
	private("DELETE "+root+"/{id}/metadata/{key}", with(func(have map[string]string, r *http.Request) (int, any, error) {
		if _, ok := have[r.PathValue("key")]; !ok {
			return 0, nil, novaError(http.StatusNotFound, "Metadata item was not found")
		}
		delete(have, r.PathValue("key"))
		return http.StatusNoContent, nil, nil
	}))
}

// checkMetadata holds keys and values to 255 characters, as the databases do.
func checkMetadata(metadata map[string]string) error {
	for k, v := range metadata {
		if k == "" || len(k) > 255 || len(v) > 255 {
			return novaError(http.StatusBadRequest, "Invalid input for field/attribute metadata. Value: %s. '%s' is too long", k, v)
		}
	}
	return nil
}

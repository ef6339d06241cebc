package executable

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"

	"github.com/microbosh/microbosh/pkg/messages"
)

// maxRequest bounds what is read of a request and of the configuration.
const maxRequest = 16 << 20

// request is what a Director or bosh create-env asks.
type request struct {
	Method    string                     `json:"method"`
	Arguments []json.RawMessage          `json:"arguments"`
	Context   map[string]json.RawMessage `json:"context"`
	API       int                        `json:"api_version"`
}

func read(in io.Reader) (request, error) {
	var r request
	text, err := io.ReadAll(io.LimitReader(in, maxRequest))
	if err != nil {
		return r, fault{invalidCall, "Request cannot be read", false}
	}
	if json.Unmarshal(text, &r) != nil {
		return r, fault{invalidCall, "Request cannot be deserialized", false}
	}
	switch {
	case r.Method == "":
		return r, fault{invalidCall, "Request should include method, arguments and context", false}
	case r.Arguments == nil || r.Context == nil:
		return r, fault{invalidCall, fmt.Sprintf("Arguments should be an Array and context a Hash, in the call of %s", r.Method), false}
	}
	return r, nil
}

// stemcellAPI is the api_version of the VM's stemcell, 1 when nobody says.
func (r request) stemcellAPI() int {
	var vm struct {
		Stemcell struct {
			API int `json:"api_version"`
		} `json:"stemcell"`
	}
	if json.Unmarshal(r.Context["vm"], &vm) != nil || vm.Stemcell.API == 0 {
		return 1
	}
	return vm.Stemcell.API
}

// word reads a context member that is a string.
func (r request) word(key string) string {
	var s string
	_ = json.Unmarshal(r.Context[key], &s) // "" when it is none
	return s
}

// config is the CPI job's cpi.json.
type config struct {
	Cloud struct {
		Properties struct {
			OpenStack map[string]json.RawMessage `json:"openstack"`
			Agent     json.RawMessage            `json:"agent"`
			Registry  struct {
				Endpoint string `json:"endpoint"`
				User     string `json:"user"`
				Password string `json:"password"`
			} `json:"registry"`
		} `json:"properties"`
	} `json:"cloud"`
}

func configuration(path string) (config, error) {
	var c config
	if path == "" {
		return c, nil
	}
	f, err := os.Open(path)
	if err != nil {
		return c, fmt.Errorf("cannot read the configuration: %w", err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxRequest))
	if err != nil {
		return c, fmt.Errorf("cannot read the configuration: %w", err)
	}
	if json.Unmarshal(text, &c) != nil { // the cause would quote secrets
		return c, messages.Errorf(messages.CodeManifestInvalid, "the configuration %s is no JSON of a CPI", path)
	}
	return c, nil
}

// properties are the configuration's with what the context says of the cloud: a
// Director's cpi-config.
func (c config) properties(r request) (json.RawMessage, error) {
	openstack := maps.Clone(c.Cloud.Properties.OpenStack)
	if openstack == nil {
		openstack = map[string]json.RawMessage{}
	}
	for key, value := range r.Context {
		switch key {
		case "director_uuid", "request_id", "vm":
		default:
			openstack[key] = value
		}
	}
	out := map[string]any{"openstack": openstack}
	if agent := bytes.TrimSpace(c.Cloud.Properties.Agent); len(agent) > 0 {
		out["agent"] = json.RawMessage(agent)
	}
	return json.Marshal(out)
}

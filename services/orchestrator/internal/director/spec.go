package director

import (
	"encoding/json"
	"fmt"
	"io"
	"os"

	"github.com/microbosh/microbosh/pkg/messages"
)

const (
	maxSpec     = 8 << 20
	defaultName = "micro"
	defaultPort = 25555
)

// Spec is what the apply spec says about the Director.
type Spec struct {
	Address string // "" = every address
	Port    int
	Name    string
}

// ReadSpec reads properties.director of an apply spec; "" gives the defaults.
func ReadSpec(path string) (Spec, error) {
	out := Spec{Port: defaultPort, Name: defaultName}
	if path == "" {
		return out, nil
	}
	f, err := os.Open(path)
	if err != nil {
		return Spec{}, fmt.Errorf("cannot read the apply spec: %w", err)
	}
	defer func() { _ = f.Close() }()
	var doc struct {
		Properties struct {
			Director struct {
				Address string `json:"address"`
				Port    int    `json:"port"`
				Name    string `json:"name"`
			} `json:"director"`
		} `json:"properties"`
	}
	if err := json.NewDecoder(io.LimitReader(f, maxSpec)).Decode(&doc); err != nil {
		return Spec{}, messages.Errorf(messages.CodeMalformed, "cannot read the apply spec %s: %w", path, err)
	}
	d := doc.Properties.Director
	if d.Port < 0 || d.Port > 65535 {
		return Spec{}, messages.Errorf(messages.CodeMalformed, "the apply spec %s says port %d for the director", path, d.Port)
	}
	out.Address = d.Address
	if d.Port != 0 {
		out.Port = d.Port
	}
	if d.Name != "" {
		out.Name = d.Name
	}
	return out, nil
}

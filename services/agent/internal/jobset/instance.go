package jobset

import (
	"encoding/json"
	"fmt"
	"os"

	"github.com/microbosh/microbosh/services/agent/internal/home"
)

// Store makes spec the applied one. Jobs read who they are in <base>/instance,
// so that is written before: a repeat of what was interrupted writes both.
func Store(dir home.Dir, spec any) error {
	raw, err := json.Marshal(spec)
	if err != nil {
		return fmt.Errorf("cannot store the spec: %w", err)
	}
	if err := writeInstance(dir, raw); err != nil {
		return fmt.Errorf("cannot tell the jobs who they are: %w", err)
	}
	if err := home.WriteJSON(SpecFile(dir), json.RawMessage(raw)); err != nil {
		return fmt.Errorf("cannot store the spec: %w", err)
	}
	return nil
}

// writeInstance writes one file for each name of the instance, for everybody
// to read.
func writeInstance(dir home.Dir, raw []byte) error {
	var s struct {
		ID         string `json:"id"`
		AZ         string `json:"az"`
		Name       string `json:"name"`
		Deployment string `json:"deployment"`
	}
	if err := json.Unmarshal(raw, &s); err != nil {
		return err
	}
	at := dir.Join("instance")
	if err := os.MkdirAll(at, 0o755); err != nil {
		return err
	}
	if err := os.Chmod(at, 0o755); err != nil { // who made it first may have closed it
		return err
	}
	for name, text := range map[string]string{"id": s.ID, "az": s.AZ, "name": s.Name, "deployment": s.Deployment} {
		path := dir.Join("instance", name)
		if now, err := home.ReadFile(path); err == nil && string(now) == text {
			continue
		}
		if err := home.WriteFile(path, []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}

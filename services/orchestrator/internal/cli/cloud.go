package cli

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"github.com/microbosh/microbosh/pkg/messages"
)

// cloud is where a devcloud is, as its own file tells.
type cloud struct {
	AuthURL string `json:"auth_url"`
	File    string `json:"-"`
}

func readCloud(dir string) (cloud, error) {
	path := filepath.Join(dir, "devcloud.json")
	b, err := os.ReadFile(path)
	if err != nil {
		return cloud{}, fmt.Errorf("cannot tell where the cloud is: %w", err)
	}
	c := cloud{File: path}
	if err := json.Unmarshal(b, &c); err != nil || c.AuthURL == "" {
		return cloud{}, messages.Errorf(messages.CodeStateInvalid, "cannot tell where the cloud is: %s names no auth_url", path)
	}
	return c, nil
}

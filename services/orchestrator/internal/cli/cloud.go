package cli

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"github.com/microbosh/microbosh/pkg/messages"
)

// cloud is where a devcloud is, as its own files tell. The password stays in
// its file: it is never shown.
type cloud struct {
	AuthURL      string `json:"auth_url"`
	URL          string `json:"url"`
	User         string `json:"-"`
	Project      string `json:"-"`
	PasswordFile string `json:"-"`
}

func readCloud(dir string) (cloud, error) {
	c := cloud{PasswordFile: filepath.Join(dir, "password")}
	if err := readJSON(filepath.Join(dir, "devcloud.json"), &c); err != nil {
		return cloud{}, err
	}
	// clouds.yaml is written as JSON, which is YAML too.
	var clouds struct {
		Clouds struct {
			Devcloud struct {
				Auth struct {
					User    string `json:"username"`
					Project string `json:"project_name"`
				} `json:"auth"`
			} `json:"devcloud"`
		} `json:"clouds"`
	}
	if err := readJSON(filepath.Join(dir, "clouds.yaml"), &clouds); err != nil {
		return cloud{}, err
	}
	c.User, c.Project = clouds.Clouds.Devcloud.Auth.User, clouds.Clouds.Devcloud.Auth.Project
	return c, nil
}

func readJSON(path string, into any) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("cannot tell where the cloud is: %w", err)
	}
	if err := json.Unmarshal(b, into); err != nil {
		return messages.Errorf(messages.CodeStateInvalid, "cannot tell where the cloud is: %s cannot be read: %w", path, err)
	}
	return nil
}

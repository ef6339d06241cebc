package devcloud

import (
	"encoding/json"
	"fmt"
	"path/filepath"

	"github.com/google/renameio/v2"
)

// Names of the files that tell how to reach the cloud, and of its entry in
// clouds.yaml.
const (
	CloudsFile  = "clouds.yaml"
	AddressFile = "devcloud.json"
	CloudName   = "devcloud"
)

// WriteFiles leaves clouds.yaml (in JSON, which is YAML) and devcloud.json in
// the folder, for its owner alone.
func (c *Cloud) WriteFiles() error {
	clouds := m{"clouds": m{CloudName: m{
		"region_name": Region, "identity_api_version": 3, "interface": "public",
		"auth": m{
			"auth_url": c.AuthURL(), "username": User, "password": c.o.Password, "project_name": Project,
			"user_domain_name": Domain, "project_domain_name": Domain,
		},
	}}}
	// devcloud.json comes last: who waits for it finds both.
	for _, file := range []struct {
		name    string
		content m
	}{{CloudsFile, clouds}, {AddressFile, m{"url": c.URL(), "auth_url": c.AuthURL()}}} {
		b, err := json.MarshalIndent(file.content, "", "  ")
		if err != nil {
			return fmt.Errorf("cannot encode %s: %w", file.name, err)
		}
		if err := renameio.WriteFile(filepath.Join(c.o.Dir, file.name), append(b, '\n'), 0o600, renameio.IgnoreUmask()); err != nil {
			return fmt.Errorf("cannot write %s: %w", file.name, err)
		}
	}
	return nil
}

package manifest

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"gopkg.in/yaml.v3"
)

// maxClouds bounds a clouds.yaml.
const maxClouds = 1 << 20

// OpenStackCloud is one cloud of clouds.yaml, the file that OpenStack's own
// tools read.
type OpenStackCloud struct {
	Region    string `yaml:"region_name"`
	Interface string `yaml:"interface"`
	CACert    string `yaml:"cacert"`
	Verify    *bool  `yaml:"verify"`
	Auth      struct {
		URL              string `yaml:"auth_url"`
		Username         string `yaml:"username"`
		Password         string `yaml:"password"`
		Project          string `yaml:"project_name"`
		ProjectID        string `yaml:"project_id"`
		Domain           string `yaml:"domain_name"`
		UserDomain       string `yaml:"user_domain_name"`
		ProjectDomain    string `yaml:"project_domain_name"`
		CredentialID     string `yaml:"application_credential_id"`
		CredentialSecret string `yaml:"application_credential_secret"`
	} `yaml:"auth"`
}

// ReadOpenStackCloud reads a cloud from the first clouds.yaml of those where
// OpenStack's tools look. No error quotes the file: it holds passwords.
func ReadOpenStackCloud(name string) (OpenStackCloud, error) {
	for _, path := range cloudsFiles() {
		f, err := os.Open(path)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return OpenStackCloud{}, fmt.Errorf("cannot read %s: %w", path, err)
		}
		text, err := io.ReadAll(io.LimitReader(f, maxClouds))
		f.Close()
		if err != nil {
			return OpenStackCloud{}, fmt.Errorf("cannot read %s: %w", path, err)
		}
		var file struct {
			Clouds map[string]OpenStackCloud `yaml:"clouds"`
		}
		if yaml.Unmarshal(text, &file) != nil {
			return OpenStackCloud{}, fmt.Errorf("cannot read %s: it is no clouds.yaml", path)
		}
		cloud, ok := file.Clouds[name]
		if !ok {
			return OpenStackCloud{}, fmt.Errorf("%s has no cloud %s", path, name)
		}
		return cloud, nil
	}
	return OpenStackCloud{}, errors.New("there is no clouds.yaml")
}

func cloudsFiles() []string {
	if path := os.Getenv("OS_CLIENT_CONFIG_FILE"); path != "" {
		return []string{path}
	}
	files := []string{"clouds.yaml"}
	if dir, err := os.UserConfigDir(); err == nil {
		files = append(files, filepath.Join(dir, "openstack", "clouds.yaml"))
	}
	return append(files, "/etc/openstack/clouds.yaml")
}

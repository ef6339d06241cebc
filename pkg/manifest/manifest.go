package manifest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"unicode/utf8"

	"gopkg.in/yaml.v3"

	"github.com/microbosh/microbosh/pkg/messages"
)

// maxFile bounds the files that this package reads.
const maxFile = 1 << 20

// Manifest is a micro_bosh.yml with the original's defaults merged in.
type Manifest struct {
	Name      string
	Dir       string
	Logging   Logging
	Network   Network
	Env       map[string]any
	Resources Resources
	Cloud     Cloud
	ApplySpec map[string]any

	raw map[string]any // as written, without defaults
}

// Logging is where the original logged; kept for its fingerprint.
type Logging struct{ Level, File string }

// Network is the VM's one network, and its floating IP.
type Network struct {
	Type, VIP, IP, Netmask, Gateway string
	DNS                             []string
	CloudProperties                 map[string]any
}

// Resources size the VM. HasPersistentDisk tells whether the manifest itself
// names a size: a new deployment needs that, the default does not count.
type Resources struct {
	PersistentDisk    int // MiB
	HasPersistentDisk bool
	DiskProperties    map[string]any
	CloudProperties   map[string]any
}

// Cloud is the IaaS: its plugin and everything that connects to it.
type Cloud struct {
	Plugin     string
	Properties map[string]any
}

// Load reads a manifest from a file. Errors have code manifest_missing or
// manifest_invalid; the latter lists every problem, a line each.
func Load(path string) (*Manifest, error) {
	data, err := readFile(path)
	if err != nil {
		return nil, err
	}
	m, err := Parse(path, data)
	if err != nil {
		return nil, err
	}
	return m, m.checkPrivateKey(path)
}

func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, messages.Errorf(messages.CodeManifestMissing, "Cannot find file `%s'", path).
			WithHint("give the path of a micro_bosh.yml, or of the folder that holds one")
	}
	if err != nil {
		return nil, messages.Errorf(messages.CodeManifestMissing, "Cannot load YAML file at `%s': %w", path, err)
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil && info.IsDir() {
		return nil, messages.Errorf(messages.CodeManifestInvalid, "Cannot load YAML file at `%s': it is a directory", path)
	}
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, messages.Errorf(messages.CodeManifestInvalid, "Cannot load YAML file at `%s': %w", path, err)
	}
	if len(data) > maxFile {
		return nil, messages.Errorf(messages.CodeManifestInvalid, "Cannot load YAML file at `%s': it is larger than %d bytes", path, maxFile)
	}
	return data, nil
}

// Parse reads a manifest; file is what problems are reported under.
func Parse(file string, data []byte) (*Manifest, error) {
	root, err := parseRoot(file, data)
	if err != nil {
		return nil, err
	}
	c := &checker{file: file}
	tree, _ := c.value(root, "", schema()).(map[string]any)
	if hint := foreign(root); hint != "" {
		return nil, messages.Errorf(messages.CodeManifestInvalid, "%s is no manifest of a micro BOSH", file).WithHint("%s", hint)
	}
	if tree != nil {
		c.requirements(root, tree)
	}
	if len(c.problems) > 0 {
		return nil, messages.Errorf(messages.CodeManifestInvalid, "%s", strings.Join(c.problems, "\n")).
			WithHint("docs/manifest.md lists every key")
	}
	return fromTree(tree), nil
}

func parseRoot(file string, data []byte) (*yaml.Node, error) {
	if !utf8.Valid(data) || bytes.IndexByte(data, 0) >= 0 {
		return nil, messages.Errorf(messages.CodeManifestInvalid, "Cannot load YAML file at `%s': it is no text", file)
	}
	if i := bytes.Index(data, []byte("<%")); i >= 0 {
		line := 1 + bytes.Count(data[:i], []byte("\n"))
		column := i - bytes.LastIndexByte(data[:i], '\n')
		return nil, messages.Errorf(messages.CodeManifestInvalid, "%s:%d:%d: ERB is not run in a manifest", file, line, column).
			WithHint("write the value itself, or ((name)) and give it with -v name=value")
	}
	var doc yaml.Node
	if err := yaml.Unmarshal(data, &doc); err != nil {
		return nil, messages.Errorf(messages.CodeManifestInvalid, "Cannot load YAML file at `%s': %s", file, strings.TrimPrefix(err.Error(), "yaml: "))
	}
	if len(doc.Content) == 0 || doc.Content[0].Kind != yaml.MappingNode {
		return nil, messages.Errorf(messages.CodeManifestInvalid, "Incorrect YAML structure in `%s': expected Hash at the root", file)
	}
	return doc.Content[0], nil
}

// foreign recognises the manifests of BOSH's other tools.
func foreign(root *yaml.Node) string {
	has := map[string]bool{}
	for i := 0; i < len(root.Content); i += 2 {
		has[root.Content[i].Value] = true
	}
	switch {
	case has["cloud_provider"] || (has["resource_pools"] && has["networks"]):
		return "it is a manifest for `bosh create-env`; microbosh reads micro_bosh.yml: name, network, resources and cloud (docs/manifest.md)"
	case has["stemcells"] && has["releases"]:
		return "it is a Director's deployment manifest: give it to `bosh deploy` once the Director runs"
	}
	return ""
}

// requirements are what a manifest cannot do without.
func (c *checker) requirements(root *yaml.Node, tree map[string]any) {
	name, _ := tree["name"].(string)
	if name == "" {
		c.problem(root, "name is not defined in deployment manifest")
	} else if _, err := messages.ParseDeployment(name); err != nil {
		c.problem(root, "name: %v", err)
	}
	if tree["network"] == nil {
		c.problem(root, "network is not defined in deployment manifest")
	}
	cloud, _ := tree["cloud"].(map[string]any)
	if cloud == nil {
		c.problem(root, "No cloud properties defined")
		return
	}
	plugin, _ := cloud["plugin"].(string)
	switch plugin {
	case "":
		c.problem(root, "No cloud plugin defined")
	case "openstack":
		properties, _ := cloud["properties"].(map[string]any)
		c.openstack(root, properties)
	case "aws", "vsphere", "vcloud":
	default:
		c.problem(root, "Could not find Provider Plugin: %s", plugin)
	}
	if disk, ok := asMap(tree["resources"])["persistent_disk"].(int); ok && disk < 0 {
		c.problem(root, "resources.persistent_disk is negative")
	}
	network := asMap(tree["network"])
	switch network["type"] {
	case nil, "dynamic":
	case "manual":
		if network["ip"] == nil {
			c.problem(root, "network.ip is needed with type manual")
		}
		if asMap(network["cloud_properties"])["net_id"] == nil {
			c.problem(root, "Manual network must have net_id")
		}
	default:
		c.problem(root, "network.type must be dynamic or manual")
	}
}

func (c *checker) openstack(root *yaml.Node, properties map[string]any) {
	os, _ := properties["openstack"].(map[string]any)
	given := func(key string) bool { s, ok := os[key].(string); return ok && s != "" }
	if !given("auth_url") {
		c.problem(root, "cloud.properties.openstack.auth_url is needed")
	}
	password := given("username") && given("api_key")
	credential := given("application_credential_id") && given("application_credential_secret")
	if password == credential {
		c.problem(root, "cloud.properties.openstack needs either username and api_key, or application_credential_id and application_credential_secret")
	}
}

// checkPrivateKey makes sure of a key that the manifest names by its path.
func (m *Manifest) checkPrivateKey(manifest string) error {
	key, _ := asMap(m.Cloud.Properties["openstack"])["private_key"].(string)
	if key == "" || strings.HasPrefix(strings.TrimSpace(key), "-----BEGIN") {
		return nil
	}
	path := key
	if rest, ok := strings.CutPrefix(path, "~/"); ok {
		home, err := os.UserHomeDir()
		if err != nil {
			return messages.Errorf(messages.CodeManifestInvalid, "properties.openstack.private_key '%s': %w", key, err)
		}
		path = filepath.Join(home, rest)
	}
	if !filepath.IsAbs(path) {
		path = filepath.Join(filepath.Dir(manifest), path)
	}
	if _, err := os.Stat(path); err != nil {
		return messages.Errorf(messages.CodeManifestInvalid, "properties.openstack.private_key '%s' does not exist", key)
	}
	return nil
}

func asMap(v any) map[string]any {
	m, _ := v.(map[string]any)
	return m
}

func asText(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return v
	default:
		return fmt.Sprint(v)
	}
}

package manifest

import (
	"bytes"
	"errors"
	"io"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"gopkg.in/yaml.v3"

	"github.com/microbosh/microbosh/pkg/messages"
)

// erb is a Ruby template's tag; `<%%` is its way to write `<%`.
var erb = regexp.MustCompile(`(?s)<%[^%].*?%>`)

// Parse reads a manifest; file is what problems are reported under. Files that
// the manifest names are not looked at.
func Parse(file string, data []byte) (*Manifest, error) {
	return parse(file, data, Inputs{}, func(string) bool { return true })
}

func parse(file string, data []byte, in Inputs, exists func(string) bool) (*Manifest, error) {
	if err := readable(file, data); err != nil {
		return nil, err
	}
	c := &checker{
		sources: sources{file}, exists: exists, keys: map[string]*yaml.Node{}, values: map[string]*yaml.Node{}, open: map[int]bool{},
	}
	template := c.templates(data)
	root, err := parseRoot(file, data)
	if err != nil && template {
		return nil, c.failure("")
	}
	if err != nil {
		return nil, err
	}
	if what, hint := foreign(root); what != "" {
		return nil, messages.Errorf(messages.CodeManifestInvalid, "%s is %s and no manifest of a micro BOSH", file, what).WithHint("%s", hint)
	}
	e, err := c.edit(in)
	if err != nil {
		return nil, err
	}
	root = c.patch(root, e)
	if root == nil {
		return nil, c.failure("operations are applied in their order, each to what the one before it left")
	}
	tree, _ := c.value(root, "", schema(), 0).(map[string]any)
	c.requirements(tree)
	if len(c.problems) > 0 {
		return nil, c.failure("docs/manifest.md lists every key")
	}
	return fromTree(tree), nil
}

// readable refuses what is no text, or too much of it.
func readable(file string, data []byte) error {
	if len(data) > maxFile {
		return loadError(file, "it is larger than %d bytes", maxFile)
	}
	if !utf8.Valid(data) || bytes.IndexByte(data, 0) >= 0 {
		return loadError(file, "it is no text").WithHint("YAML in UTF-8 is needed")
	}
	return nil
}

// templates reports every tag of ERB, which the original ran over a manifest;
// those in comments did nothing.
func (c *checker) templates(data []byte) bool {
	for _, span := range erb.FindAllIndex(data, 20) {
		start := 1 + bytes.LastIndexByte(data[:span[0]], '\n')
		if strings.HasPrefix(strings.TrimSpace(string(data[start:span[0]])), "#") {
			continue
		}
		line, column := 1+bytes.Count(data[:span[0]], []byte("\n")), 1+span[0]-start
		c.hint = "write ((name)) there, and give its value with -v name=VALUE or in a file with -l"
		c.problem(&yaml.Node{Line: line, Column: column}, "ERB (<%% %%>) is not run in a manifest")
		c.open[line] = true
	}
	return len(c.problems) > 0
}

func parseRoot(file string, data []byte) (*yaml.Node, error) {
	doc, err := decodeOne(file, data)
	if err != nil {
		return nil, err
	}
	if len(doc.Content) == 0 || doc.Content[0].Kind != yaml.MappingNode {
		return nil, messages.Errorf(messages.CodeManifestInvalid, "Incorrect YAML structure in `%s': expected Hash at the root", file).
			WithHint("a manifest begins with a line such as name: micro")
	}
	return doc.Content[0], nil
}

// yamlLine is where the YAML library says that it stumbled. Its parser counts
// lines from 0, its scanner from 1; only their words tell them apart.
var (
	yamlLine   = regexp.MustCompile(`^line (\d+): `)
	yamlParser = regexp.MustCompile(`^did not find expected (<|'-'|',' or|node content|key)`)
)

// stumble is where and why a file is no YAML.
func stumble(file string, err error) *messages.Error {
	at := Problem{File: file, Line: 1, Text: strings.TrimPrefix(err.Error(), "yaml: ")} // on the first line the library names none
	if line := yamlLine.FindStringSubmatch(at.Text); line != nil {
		at.Line, _ = strconv.Atoi(line[1])
		at.Text = strings.TrimPrefix(at.Text, line[0])
		if yamlParser.MatchString(at.Text) {
			at.Line++
		}
	}
	return loadError(file, "line %d: %s%w", at.Line, at.Text, quiet{Problems{at}}).
		WithHint("tabs, a missing space after a colon, an open bracket and unquoted @ or %% are what most often breaks YAML")
}

// decodeOne reads the one document of a file, which may be empty.
func decodeOne(file string, data []byte) (*yaml.Node, error) {
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	var doc, more yaml.Node
	err := decoder.Decode(&doc)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, stumble(file, err)
	}
	if err := decoder.Decode(&more); !errors.Is(err, io.EOF) {
		return nil, loadError(file, "it holds more than one document").WithHint("a manifest is what follows the first ---; remove the second")
	}
	return &doc, nil
}

func loadError(file, format string, args ...any) *messages.Error {
	return messages.Errorf(messages.CodeManifestInvalid, "Cannot load YAML file at `%s': %w", file, messages.Errorf(messages.CodeManifestInvalid, format, args...))
}

// inside tells whether a map has a key whose map has another.
func inside(root *yaml.Node, path ...string) bool {
	for _, key := range path {
		at := -1
		for i := 0; i+1 < len(root.Content) && root.Kind == yaml.MappingNode; i += 2 {
			if root.Content[i].Value == key {
				at = i + 1
			}
		}
		if at < 0 {
			return false
		}
		root = root.Content[at]
	}
	return true
}

// foreign recognises other files of BOSH's and tells where they belong.
func foreign(root *yaml.Node) (what, hint string) {
	has := map[string]bool{}
	for i := 0; i+1 < len(root.Content); i += 2 {
		has[strings.TrimPrefix(root.Content[i].Value, ":")] = true
	}
	switch {
	case has["cloud"]:
		return "", ""
	case has["cloud_provider"], has["resource_pools"] && has["networks"]:
		hint := "carry its values over: network, resources and cloud.properties.openstack (docs/manifest.md, From create-env); releases and jobs come with the stemcell"
		if inside(root, "cloud_provider", "ssh_tunnel") {
			hint += "; for cloud_provider.ssh_tunnel stand cloud.properties.openstack's private_key, ssh_user and ssh_port"
		}
		return "a manifest for `bosh create-env`", hint
	case has["instance_groups"], has["director_uuid"], has["releases"] && (has["stemcells"] || has["update"] || has["jobs"]):
		return "a Director's deployment manifest", "give it to `bosh deploy` once the Director runs; microbosh deploys the Director itself"
	case has["azs"], has["vm_types"], has["vm_extensions"]:
		return "a cloud config", "give it to `bosh update-cloud-config` once the Director runs"
	case has["instances"] && (has["disks"] || has["registry_instances"]):
		return "the state file " + DeploymentsFile, "give the micro_bosh.yml that it lies beside"
	case has["bosh_protocol"], has["stemcell_formats"]:
		return "a stemcell's stemcell.MF", "give the micro_bosh.yml, and the stemcell's .tgz to `microbosh deploy`"
	}
	return "", ""
}

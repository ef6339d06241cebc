package manifest

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"

	"github.com/google/renameio/v2"
	"gopkg.in/yaml.v3"

	"github.com/microbosh/microbosh/pkg/messages"
)

// DeploymentsFile is the original's state file, beside the manifest.
const DeploymentsFile = "bosh-deployments.yml"

// Instance is one row of the state file.
type Instance struct {
	ID           int
	Name         string
	UUID         string
	StemcellCID  string
	StemcellSHA1 string
	StemcellName string
	ConfigSHA1   string
	VMCID        string
	DiskCID      string
}

// Exists tells whether the row names anything in a cloud.
func (i Instance) Exists() bool { return i.VMCID != "" || i.StemcellCID != "" || i.DiskCID != "" }

// columns are the row's keys, without the colon of Ruby's symbols.
func (i *Instance) columns() []struct {
	key   string
	value *string
} {
	return []struct {
		key   string
		value *string
	}{
		{"name", &i.Name}, {"uuid", &i.UUID}, {"stemcell_cid", &i.StemcellCID}, {"stemcell_sha1", &i.StemcellSHA1},
		{"stemcell_name", &i.StemcellName}, {"config_sha1", &i.ConfigSHA1}, {"vm_cid", &i.VMCID}, {"disk_cid", &i.DiskCID},
	}
}

// Deployments is bosh-deployments.yml. What it does not know is kept.
type Deployments struct {
	Instances []Instance
	other     []*yaml.Node // keys and values in turn
}

// ReadDeployments reads the file, with the original's symbols as keys or plain
// ones. A missing file is an empty one. The error has code state_invalid.
func ReadDeployments(path string) (*Deployments, error) {
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return &Deployments{}, nil
	}
	data, err := readFile(path)
	if err != nil {
		return nil, messages.Errorf(messages.CodeStateInvalid, "cannot read the state file %s: %w", path, err)
	}
	d, err := parseDeployments(data)
	if err != nil {
		return nil, messages.Errorf(messages.CodeStateInvalid, "the state file %s cannot be read: %w", path, err).
			WithHint("it is only a projection: move it away, it is written again from the journal")
	}
	return d, nil
}

func parseDeployments(data []byte) (*Deployments, error) {
	var doc yaml.Node
	if err := yaml.Unmarshal(data, &doc); err != nil {
		return nil, err
	}
	if len(doc.Content) == 0 {
		return &Deployments{}, nil
	}
	root := doc.Content[0]
	if root.Kind != yaml.MappingNode {
		return nil, errors.New("its root is no map")
	}
	d := &Deployments{}
	for i := 0; i+1 < len(root.Content); i += 2 {
		key, value := root.Content[i], root.Content[i+1]
		if strings.TrimPrefix(key.Value, ":") != "instances" {
			d.other = append(d.other, key, value)
			continue
		}
		for _, row := range value.Content {
			instance, err := readInstance(row)
			if err != nil {
				return nil, err
			}
			d.Instances = append(d.Instances, instance)
		}
	}
	return d, nil
}

func readInstance(row *yaml.Node) (Instance, error) {
	var out Instance
	if row.Kind != yaml.MappingNode {
		return out, fmt.Errorf("line %d: an instance is no map", row.Line)
	}
	columns := out.columns()
	for i := 0; i+1 < len(row.Content); i += 2 {
		key, value := strings.TrimPrefix(row.Content[i].Value, ":"), row.Content[i+1]
		if value.Kind != yaml.ScalarNode {
			return out, fmt.Errorf("line %d: %s is no plain value", value.Line, key)
		}
		if value.ShortTag() == "!!null" {
			continue
		}
		if key == "id" {
			id, err := strconv.Atoi(value.Value)
			if err != nil {
				return out, fmt.Errorf("line %d: id is no number", value.Line)
			}
			out.ID = id
		}
		for _, column := range columns {
			if column.key == key {
				*column.value = value.Value
			}
		}
	}
	return out, nil
}

// Find is the row of a deployment.
func (d *Deployments) Find(name string) (Instance, bool) {
	for _, i := range d.Instances {
		if i.Name == name {
			return i, true
		}
	}
	return Instance{}, false
}

// Put sets the row of a deployment; its id stays, or is the next free one.
func (d *Deployments) Put(row Instance) {
	next := 1
	for i, have := range d.Instances {
		if have.Name == row.Name {
			row.ID = have.ID
			d.Instances[i] = row
			return
		}
		next = max(next, have.ID+1)
	}
	row.ID = next
	d.Instances = append(d.Instances, row)
}

// Remove drops the row of a deployment.
func (d *Deployments) Remove(name string) {
	for i, have := range d.Instances {
		if have.Name == name {
			d.Instances = append(d.Instances[:i:i], d.Instances[i+1:]...)
			return
		}
	}
}

const deploymentsHeader = "# Written by microbosh from its journal; changes made here are not read back.\n"

// Write replaces the file atomically, in the original's schema.
func (d *Deployments) Write(path string) error {
	rows := &yaml.Node{Kind: yaml.SequenceNode}
	for _, instance := range d.Instances {
		row := &yaml.Node{Kind: yaml.MappingNode}
		row.Content = append(row.Content, word(":id"), &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!int", Value: strconv.Itoa(instance.ID)})
		for _, column := range instance.columns() {
			row.Content = append(row.Content, word(":"+column.key), nullable(*column.value))
		}
		rows.Content = append(rows.Content, row)
	}
	if len(rows.Content) == 0 {
		rows.Style = yaml.FlowStyle
	}
	root := &yaml.Node{Kind: yaml.MappingNode, Content: []*yaml.Node{word("instances"), rows}}
	root.Content = append(root.Content, d.other...)
	if len(d.other) == 0 {
		root.Content = append(root.Content, word("disks"), &yaml.Node{Kind: yaml.SequenceNode, Style: yaml.FlowStyle})
	}
	var b bytes.Buffer
	b.WriteString(deploymentsHeader + "---\n")
	enc := yaml.NewEncoder(&b)
	enc.SetIndent(2)
	if err := errors.Join(enc.Encode(root), enc.Close()); err != nil {
		return fmt.Errorf("cannot encode the state file: %w", err)
	}
	if err := renameio.WriteFile(path, b.Bytes(), 0o600); err != nil {
		return fmt.Errorf("cannot write the state file %s: %w", path, err)
	}
	return nil
}

func word(s string) *yaml.Node { return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: s} }

func nullable(s string) *yaml.Node {
	if s == "" {
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!null", Value: "null"}
	}
	return word(s)
}

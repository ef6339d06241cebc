package manifest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strconv"
	"strings"

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
	extra     map[string][]*yaml.Node // by name, a row's other keys and values in turn
	other     []*yaml.Node            // the file's other keys and values in turn
}

// ReadDeployments reads the file, with the original's symbols as keys or plain
// ones. A missing file is an empty one. The error has code state_invalid.
func ReadDeployments(path string) (*Deployments, error) {
	data, err := readFile(path, "it lies beside the manifest, or where its dir says")
	if errors.Is(err, fs.ErrNotExist) {
		return &Deployments{}, nil
	}
	if err != nil {
		return nil, messages.Errorf(messages.CodeStateInvalid, "cannot read the state file: %w", err).
			WithHint("see that it is a file and that you may read it: ls -ld %s", path)
	}
	d, err := parseDeployments(data)
	if err != nil {
		return nil, messages.Errorf(messages.CodeStateInvalid, "the state file %s cannot be read: %w", path, err).
			WithHint("once microbosh has deployed, move it away: it is written again from the journal; a file of `bosh micro` has to be mended")
	}
	return d, nil
}

func parseDeployments(data []byte) (*Deployments, error) {
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	var doc, more yaml.Node
	if err := decoder.Decode(&doc); errors.Is(err, io.EOF) {
		return &Deployments{}, nil
	} else if err != nil {
		return nil, err
	}
	if err := decoder.Decode(&more); !errors.Is(err, io.EOF) {
		return nil, errors.New("it holds more than one document")
	}
	root := doc.Content[0]
	if isNull(root) {
		return &Deployments{}, nil
	}
	if root.Kind != yaml.MappingNode {
		return nil, errors.New("its root is no map")
	}
	d := &Deployments{extra: map[string][]*yaml.Node{}}
	seen := map[string]bool{}
	for i := 0; i+1 < len(root.Content); i += 2 {
		key, value := root.Content[i], root.Content[i+1]
		name := strings.TrimPrefix(key.Value, ":")
		if seen[name] {
			return nil, fmt.Errorf("line %d: %.60q is there twice", key.Line, name)
		}
		seen[name] = true
		if name != "instances" {
			key.HeadComment = "" // the file's own header, read as the first key's
			d.other = append(d.other, key, value)
			continue
		}
		if err := d.readInstances(value); err != nil {
			return nil, err
		}
	}
	return d, nil
}

// readInstances refuses what it cannot read whole: a row that is overlooked
// would make a deployment look new.
func (d *Deployments) readInstances(rows *yaml.Node) error {
	if isNull(rows) {
		return nil
	}
	if rows.Kind != yaml.SequenceNode {
		return fmt.Errorf("line %d: instances is no list", rows.Line)
	}
	for _, row := range rows.Content {
		instance, extra, err := readInstance(row)
		if err != nil {
			return err
		}
		if _, twice := d.Find(instance.Name); twice {
			return fmt.Errorf("line %d: there are two instances named %.60q", row.Line, instance.Name)
		}
		d.Instances = append(d.Instances, instance)
		if len(extra) > 0 {
			d.extra[instance.Name] = extra
		}
	}
	return nil
}

func readInstance(row *yaml.Node) (out Instance, extra []*yaml.Node, err error) {
	if row.Kind != yaml.MappingNode {
		return out, nil, fmt.Errorf("line %d: an instance is no map", row.Line)
	}
	columns := map[string]*string{}
	for _, column := range out.columns() {
		columns[column.key] = column.value
	}
	seen := map[string]bool{}
	for i := 0; i+1 < len(row.Content); i += 2 {
		key, value := strings.TrimPrefix(row.Content[i].Value, ":"), row.Content[i+1]
		if seen[key] {
			return out, nil, fmt.Errorf("line %d: %.60q is there twice", row.Content[i].Line, key)
		}
		seen[key] = true
		column, known := columns[key]
		switch {
		case !known && key != "id":
			extra = append(extra, row.Content[i], value)
		case value.Kind != yaml.ScalarNode:
			return out, nil, fmt.Errorf("line %d: %s is no plain value", value.Line, key)
		case isNull(value):
		case known:
			*column = value.Value
		default:
			if out.ID, err = strconv.Atoi(value.Value); err != nil {
				return out, nil, fmt.Errorf("line %d: id is no number", value.Line)
			}
		}
	}
	if out.Name == "" {
		return out, nil, fmt.Errorf("line %d: an instance has no name", row.Line)
	}
	return out, extra, nil
}

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" }

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
			delete(d.extra, name)
			return
		}
	}
}

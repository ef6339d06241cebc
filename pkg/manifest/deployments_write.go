package manifest

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"

	"github.com/google/renameio/v2"
	"gopkg.in/yaml.v3"
)

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
		row.Content = append(row.Content, d.extra[instance.Name]...)
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
	if err := replaceFile(path, b.Bytes()); err != nil {
		return fmt.Errorf("cannot write the state file %s: %w", path, err)
	}
	return nil
}

// replaceFile does not keep the old file's mode: the original's was as wide as
// the umask let it be, and registry_instances holds settings.
func replaceFile(path string, data []byte) error {
	file, err := renameio.NewPendingFile(path, renameio.WithStaticPermissions(0o600))
	if err != nil {
		return err
	}
	_, err = file.Write(data)
	if err == nil {
		err = file.CloseAtomicallyReplace()
	}
	return errors.Join(err, file.Cleanup())
}

func word(s string) *yaml.Node { return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: s} }

func nullable(s string) *yaml.Node {
	if s == "" {
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!null", Value: "null"}
	}
	return word(s)
}

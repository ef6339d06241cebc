package cli

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/microbosh/microbosh/pkg/messages"
	"github.com/microbosh/microbosh/pkg/stemcell"
)

func (a *app) inspectCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "inspect STEMCELL",
		Short: "verify a stemcell and show what is inside",
		Args:  usageArgs(cobra.ExactArgs(1)),
		RunE:  func(_ *cobra.Command, args []string) error { return a.inspect(args[0]) },
	}
}

// inspection is what a program reads.
type inspection struct {
	Name            string         `json:"name"`
	Version         string         `json:"version"`
	APIVersion      int            `json:"api_version"`
	Formats         []string       `json:"stemcell_formats"`
	SHA1            string         `json:"sha1"` // of the image
	Size            int64          `json:"size"`
	ImageSize       int64          `json:"image_size"`
	CloudProperties map[string]any `json:"cloud_properties"`
	Micro           bool           `json:"micro"`
	Jobs            []string       `json:"jobs,omitempty"`
	Packages        []string       `json:"packages,omitempty"`
}

func (a *app) inspect(path string) error {
	s, err := stemcell.Open(path)
	if err != nil {
		return err
	}
	i := inspection{
		Name: s.Name, Version: s.Version, APIVersion: s.APIVersion, Formats: s.Formats, SHA1: s.SHA1, Size: s.Size, ImageSize: s.ImageSize,
		CloudProperties: s.CloudProperties, Micro: s.ApplySpec != nil,
	}
	if i.Micro {
		var spec struct {
			Job struct {
				Name      string
				Templates []struct{ Name string }
			}
			Packages map[string]json.RawMessage
		}
		if err := json.Unmarshal(s.ApplySpec, &spec); err != nil {
			return messages.Errorf(messages.CodeStemcellInvalid, "apply_spec.yml is no apply spec: %w", err).WithDetail("stemcell", path)
		}
		for _, t := range spec.Job.Templates {
			i.Jobs = append(i.Jobs, t.Name)
		}
		if len(i.Jobs) == 0 && spec.Job.Name != "" {
			i.Jobs = []string{spec.Job.Name}
		}
		i.Packages = slices.Sorted(maps.Keys(spec.Packages))
	}
	a.ui.Result(i.text(), i)
	return nil
}

func (i inspection) text() string {
	var b strings.Builder
	row := func(name, format string, args ...any) {
		fmt.Fprintf(&b, "%-12s %s\n", name, fmt.Sprintf(format, args...))
	}
	const mib = 1 << 20
	row("name", "%s", i.Name)
	row("version", "%s", i.Version)
	row("api version", "%d", i.APIVersion)
	if len(i.Formats) > 0 {
		row("formats", "%s", strings.Join(i.Formats, ", "))
	}
	row("image", "sha1 %s, verified; %.1f MiB packed", i.SHA1, float64(i.ImageSize)/mib)
	for _, key := range slices.Sorted(maps.Keys(i.CloudProperties)) {
		row("", "%s: %v", key, i.CloudProperties[key])
	}
	if !i.Micro {
		row("micro", "no: it has no apply_spec.yml")
		return strings.TrimSpace(b.String())
	}
	row("jobs", "%s", strings.Join(i.Jobs, ", "))
	row("packages", "%s", strings.Join(i.Packages, ", "))
	return strings.TrimSpace(b.String())
}

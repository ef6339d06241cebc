package cli

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/microbosh/microbosh/pkg/manifest"
	"github.com/microbosh/microbosh/pkg/messages"
	"github.com/microbosh/microbosh/services/orchestrator/internal/journal"
	"github.com/microbosh/microbosh/services/orchestrator/internal/stack"
	"github.com/microbosh/microbosh/services/orchestrator/internal/statefile"
	"github.com/microbosh/microbosh/services/orchestrator/internal/ui"
)

func (a *app) deploymentsCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "deployments",
		Short: "list the deployments that the bus, or this folder, knows",
		Args:  usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, stop := interruptible(cmd)
			defer stop()
			return a.deployments(ctx)
		},
	}
}

// row is one deployment of the list.
type row struct {
	Name     string `json:"name"`
	VM       string `json:"vm,omitempty"`
	Stemcell string `json:"stemcell,omitempty"`
}

func (a *app) deployments(ctx context.Context) error {
	rows, err := a.deploymentRows(ctx)
	if err != nil {
		return interruptedOr(ctx, err)
	}
	text := "No deployments"
	if len(rows) > 0 {
		cells := make([][]string, 0, len(rows))
		for _, r := range rows {
			cells = append(cells, []string{r.Name, orNA(r.VM), orNA(r.Stemcell)})
		}
		text = ui.Table([]string{"Name", "VM name", "Stemcell name"}, cells) + fmt.Sprintf("\nDeployments total: %d", len(rows))
	}
	a.ui.Result(text, rows)
	return nil
}

// deploymentRows asks the bus that runs; a folder whose bus is asleep is read
// from its projection, which says the same.
func (a *app) deploymentRows(ctx context.Context) ([]row, error) {
	dir, err := a.listFolder()
	if err != nil {
		return nil, err
	}
	url, keys := a.bus, a.keys
	if url == "" {
		st := stack.Join(filepath.Join(dir, statefile.FolderName))
		if st == nil {
			return projectedRows(filepath.Join(dir, manifest.DeploymentsFile))
		}
		url, keys = st.URL(), st.Keys()
	}
	conn, err := a.connect(ctx, url, keys)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	j := journal.New(conn, "")
	names, err := j.Deployments(ctx)
	if err != nil {
		return nil, err
	}
	rows := []row{}
	for _, name := range names {
		log, err := j.Load(ctx, name)
		if err != nil {
			return nil, err
		}
		s := log.State
		if s.UID == "" {
			continue
		}
		r := row{Name: name}
		if s.VM != nil {
			r.VM = s.VM.CID
		}
		if s.Stemcell != nil {
			r.Stemcell = s.Stemcell.CID
		}
		rows = append(rows, r)
	}
	return rows, nil
}

// listFolder is the folder of the chosen deployment, else the current one.
func (a *app) listFolder() (string, error) {
	c, err := a.choice()
	if err == nil && c.Deployment != "" {
		return filepath.Dir(c.Deployment), nil
	}
	dir, err := os.Getwd()
	if err != nil {
		return "", messages.Errorf(messages.CodeInternal, "cannot tell the current folder: %w", err)
	}
	return dir, nil
}

func projectedRows(path string) ([]row, error) {
	d, err := manifest.ReadDeployments(path)
	if err != nil {
		return nil, err
	}
	rows := []row{}
	for _, i := range d.Instances {
		rows = append(rows, row{Name: i.Name, VM: i.VMCID, Stemcell: i.StemcellCID})
	}
	return rows, nil
}

func orNA(s string) string {
	if s == "" {
		return "n/a"
	}
	return s
}

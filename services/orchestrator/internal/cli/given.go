package cli

import (
	"os"
	"strings"

	"github.com/microbosh/microbosh/pkg/manifest"
	"github.com/microbosh/microbosh/pkg/messages"
	"github.com/microbosh/microbosh/services/orchestrator/internal/statefile"
)

// given are the flags of this command as they are remembered: files that will be
// there again, and the names of variables.
func (a *app) given() (statefile.Given, error) {
	var g statefile.Given
	for _, each := range []struct {
		from []string
		to   *[]string
	}{{a.inputs.VarsFiles, &g.VarsFiles}, {a.inputs.OpsFiles, &g.OpsFiles}} {
		paths, err := absolute(each.from)
		if err != nil {
			return g, err
		}
		for _, path := range paths {
			if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() { // not what a shell makes for one command
				*each.to = append(*each.to, path)
			}
		}
	}
	for _, pair := range a.inputs.Vars {
		name, _, _ := strings.Cut(pair, "=")
		g.Vars = append(g.Vars, name)
	}
	return g, nil
}

// remembered adds to a command without -v, -l and -o the files that the last
// deploy was given.
func (a *app) remembered(c statefile.Choice) (manifest.Inputs, error) {
	if a.wasGiven() {
		return a.inputsWith(c), nil
	}
	g, err := statefile.ReadGiven(c.Deployment)
	if err != nil {
		return manifest.Inputs{}, err
	}
	c.VarsFiles = append(c.VarsFiles[:len(c.VarsFiles):len(c.VarsFiles)], g.VarsFiles...)
	c.OpsFiles = append(c.OpsFiles[:len(c.OpsFiles):len(c.OpsFiles)], g.OpsFiles...)
	return a.inputsWith(c), nil
}

// wasGiven tells whether this command was given anything.
func (a *app) wasGiven() bool {
	return len(a.inputs.Vars)+len(a.inputs.VarsFiles)+len(a.inputs.OpsFiles) > 0
}

// givenWords are the flags again, as far as they are remembered.
func givenWords(g statefile.Given) string {
	var b strings.Builder
	for _, name := range g.Vars {
		b.WriteString(" -v " + name + "=...")
	}
	for _, path := range g.VarsFiles {
		b.WriteString(" -l " + path)
	}
	for _, path := range g.OpsFiles {
		b.WriteString(" -o " + path)
	}
	return b.String()
}

// loadAs reads the chosen manifest with these inputs. When that fails, it says
// what the last deploy was given.
func (a *app) loadAs(c statefile.Choice, in manifest.Inputs) (*manifest.Manifest, error) {
	m, err := manifest.LoadWith(c.Deployment, in)
	if messages.CodeOf(err) != messages.CodeManifestInvalid {
		return m, err
	}
	g, forgotten := statefile.ReadGiven(c.Deployment)
	if forgotten != nil || g.Empty() || a.wasGiven() {
		return m, err
	}
	e := messages.AsError(err)
	return m, e.WithHint("%s", strings.TrimPrefix(e.Hint+"; the last deploy was given"+givenWords(g), "; "))
}

// loadAnew is load for the verbs that say what the deployment shall be: their
// flags count, not those of the last deploy.
func (a *app) loadAnew(missing string) (chosen, error) {
	d, err := a.loadBy(missing, func(c statefile.Choice) (*manifest.Manifest, error) { return a.loadAs(c, a.inputsWith(c)) })
	if err != nil || a.wasGiven() {
		return d, err
	}
	if g, err := statefile.ReadGiven(d.choice.Deployment); err == nil && !g.Empty() {
		a.ui.Say("microbosh: the last deploy was given%s, and this is without", givenWords(g))
	}
	return d, nil
}

// loadName is load for verbs that want to know which deployment is meant and
// nothing else: variables may have no value.
func (a *app) loadName(missing string) (chosen, error) {
	d, err := a.load(missing)
	if err == nil || d.choice.Deployment == "" {
		return d, err
	}
	in, bad := a.remembered(d.choice)
	if bad != nil {
		return d, err
	}
	name := manifest.Name(d.choice.Deployment, in)
	if _, bad := messages.ParseDeployment(name); bad != nil {
		return d, err
	}
	return chosen{choice: d.choice, manifest: &manifest.Manifest{Name: name}}, nil
}

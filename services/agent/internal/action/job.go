package action

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/microbosh/microbosh/pkg/erb"
	"github.com/microbosh/microbosh/services/agent/internal/home"
)

// jobFolder depends on the rendered archive where there is one, else on the
// spec, as the same template renders differently for another one.
func (d *Dispatcher) jobFolder(s spec, t blob) (installed, error) {
	if s.Rendered != nil {
		return d.folder("jobs", t, s.Rendered.SHA1)
	}
	at, err := d.folder("jobs", t, t.SHA1)
	if err != nil {
		return at, err
	}
	raw, err := json.Marshal(s.raw)
	if err != nil {
		return at, err
	}
	sum := sha256.Sum256(raw)
	at.dir += "-" + hex.EncodeToString(sum[:8])
	return at, nil
}

// unpackJobs puts each job template into its folder.
func (d *Dispatcher) unpackJobs(ctx context.Context, s spec) ([]installed, error) {
	stage := d.o.Home.Join("data", "tmp", "jobs")
	if err := os.RemoveAll(stage); err != nil {
		return nil, fmt.Errorf("cannot empty %s: %w", stage, err)
	}
	defer os.RemoveAll(stage)
	rendered := filepath.Join(stage, "rendered")
	var all []installed
	for i, t := range s.templates() {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		at, err := d.jobFolder(s, t)
		if err == nil && !there(at.dir) {
			out := filepath.Join(rendered, t.Name)
			if s.Rendered == nil {
				out, err = d.stageJob(ctx, filepath.Join(stage, fmt.Sprint(i)), s, t)
			} else if !there(rendered) {
				err = d.unpack(ctx, *s.Rendered, rendered)
			}
			if err == nil {
				err = d.settle(ctx, out, at.dir)
			}
		}
		if err != nil {
			return nil, fmt.Errorf("Failed to install job '%s.%s': %w", s.Job.Name, t.Name, err) //nolint:staticcheck // BOSH's text
		}
		all = append(all, at)
	}
	return all, nil
}

// stageJob unpacks a job as its release has it and renders its templates to
// where its manifest wants them. ERB takes a ruby on the machine.
func (d *Dispatcher) stageJob(ctx context.Context, stage string, s spec, t blob) (out string, err error) {
	source := filepath.Join(stage, "source")
	if err := d.unpack(ctx, t, source); err != nil {
		return "", err
	}
	from, err := os.OpenRoot(source) // no symlink of the archive leads out
	if err != nil {
		return "", err
	}
	defer from.Close()
	out = filepath.Join(stage, "out")
	if err := home.MkdirAll(out); err != nil {
		return "", err
	}
	to, err := os.OpenRoot(out)
	if err != nil {
		return "", err
	}
	defer to.Close()
	manifest, err := from.ReadFile("job.MF")
	if err != nil {
		return "", errors.New("cannot find job manifest job.MF")
	}
	templates, err := manifestTemplates(manifest)
	if err != nil {
		return "", fmt.Errorf("malformed job manifest job.MF: %w", err)
	}
	monits, err := fs.Glob(from.FS(), "*.monit")
	if err != nil {
		return "", err
	}
	for _, name := range append(monits, "monit") {
		templates = append(templates, pair{name, name})
	}
	var files []erb.File
	var targets []string
	for i, p := range templates {
		source, needed := filepath.Join("templates", p.source), true
		if i >= len(templates)-len(monits)-1 {
			source, needed = p.source, false
		}
		content, err := from.ReadFile(source)
		switch {
		case errors.Is(err, fs.ErrNotExist) && !needed:
			continue
		case errors.Is(err, fs.ErrNotExist):
			return "", fmt.Errorf("template '%s' doesn't exist", source)
		case err != nil:
			return "", fmt.Errorf("cannot read template '%s': %w", source, err)
		}
		files, targets = append(files, erb.File{Name: source, Text: content}), append(targets, p.target)
	}
	raw, err := json.Marshal(s.raw)
	if err != nil {
		return "", err
	}
	if err := erb.Render(ctx, raw, files); err != nil {
		if errors.Is(err, erb.ErrNoRuby) {
			err = fmt.Errorf("%w; it holds ERB: install ruby on the VM or send a rendered_templates_archive", err)
		}
		return "", err
	}
	for i, f := range files {
		if err := write(to, targets[i], f.Text); err != nil {
			return "", err
		}
	}
	return out, nil
}

func write(to *os.Root, target string, content []byte) error {
	if err := to.MkdirAll(filepath.Dir(target), 0o750); err != nil {
		return fmt.Errorf("cannot write template '%s': %w", target, err)
	}
	if err := to.WriteFile(target, content, 0o640); err != nil {
		return fmt.Errorf("cannot write template '%s': %w", target, err)
	}
	return nil
}

// settle sets modes and owners and moves a job to its folder: what is in a
// folder `bin` can be run, others than root and the jobs' group may do nothing.
func (d *Dispatcher) settle(ctx context.Context, out, dir string) error {
	if !there(out) {
		return errors.New("it is not in the rendered archive")
	}
	err := filepath.WalkDir(out, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir():
			return os.Chmod(path, 0o750)
		case !entry.Type().IsRegular():
			return nil
		case filepath.Base(filepath.Dir(path)) == "bin":
			return os.Chmod(path, 0o750)
		default:
			return os.Chmod(path, 0o640)
		}
	})
	if err != nil {
		return err
	}
	if err := d.o.Machine.GiveToJobs(ctx, out); err != nil {
		return err
	}
	if err := home.MkdirOpen(filepath.Dir(dir)); err != nil {
		return err
	}
	if err := home.SyncTree(out); err != nil {
		return err
	}
	if err := os.Rename(out, dir); err != nil {
		return err
	}
	return home.SyncDir(filepath.Dir(dir))
}

// pair is a row of a job manifest's templates.
type pair struct{ source, target string }

// manifestTemplates reads the `templates` map of a job.MF: the block of
// `source: target` lines that releases have. Other YAML there is refused.
func manifestTemplates(manifest []byte) ([]pair, error) {
	var pairs []pair
	inside, indent := false, ""
	for n, line := range strings.Split(string(manifest), "\n") {
		text := strings.TrimRight(line, " \t\r")
		trimmed := strings.TrimLeft(text, " ")
		if trimmed == "" || trimmed[0] == '#' || text == "---" {
			continue
		}
		if trimmed == text { // a top-level key
			rest, ok := strings.CutPrefix(text, "templates:")
			inside, indent = ok, ""
			if rest = strings.TrimSpace(rest); ok && rest != "" && rest != "{}" && rest[0] != '#' {
				return nil, fmt.Errorf("line %d: invalid value for templates in job manifest, Hash expected", n+1)
			}
			continue
		}
		if !inside {
			continue
		}
		lead := text[:len(text)-len(trimmed)]
		if indent == "" {
			indent = lead
		}
		source, target, ok := strings.Cut(trimmed, ": ")
		if lead != indent || !ok {
			return nil, fmt.Errorf("line %d: invalid value for templates in job manifest, `source: target` expected", n+1)
		}
		p := pair{unquote(source), unquote(target)}
		for _, name := range []string{p.source, p.target} {
			if !filepath.IsLocal(name) || strings.ContainsAny(name, "{}[]&*!|>%@`") {
				return nil, fmt.Errorf("line %d: %q is not usable as a file name", n+1, clip(name))
			}
		}
		pairs = append(pairs, p)
	}
	return pairs, nil
}

func unquote(s string) string {
	s, _, _ = strings.Cut(strings.TrimSpace(s), " #")
	s = strings.TrimSpace(s)
	if len(s) >= 2 && (s[0] == '"' || s[0] == '\'') && s[len(s)-1] == s[0] {
		return s[1 : len(s)-1]
	}
	return s
}

package manifest

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

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
// manifest_invalid; the latter lists every problem, a line each, and ProblemsOf
// gives them. A private key that the manifest names must exist, beside the
// manifest when its path is relative; only an SSH tunnel needs one, so it may be
// left out, unlike in the original.
func Load(path string) (*Manifest, error) { return LoadWith(path, Inputs{}) }

// LoadWith is Load with operations and variables.
func LoadWith(path string, in Inputs) (*Manifest, error) {
	data, err := readFile(path, "give the path of a micro_bosh.yml, or of the folder that holds one")
	if err != nil {
		return nil, err
	}
	return parse(path, data, in, func(name string) bool {
		file, err := Beside(path, name)
		if err != nil {
			return false
		}
		info, err := os.Stat(file)
		return err == nil && !info.IsDir()
	})
}

// readFile reads a bounded file. Its errors have the original's words; missing
// is the hint when there is none.
func readFile(path, missing string) ([]byte, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, messages.Errorf(messages.CodeManifestMissing, "Cannot find file `%s'%w", path, quiet{err}).
			WithHint("%s", missing)
	}
	if err != nil {
		return nil, messages.Errorf(messages.CodeManifestMissing, "Cannot load YAML file at `%s': %w", path, err).
			WithHint("see that you may read it: ls -l %s", path)
	}
	defer f.Close()
	info, err := f.Stat()
	if err == nil && info.IsDir() {
		return nil, loadError(path, "it is a directory").WithHint("%s", missing)
	}
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, loadError(path, "%w", err)
	}
	if len(data) > maxFile {
		return nil, loadError(path, "it is larger than %d bytes", maxFile).WithHint("this is no manifest; see what it is: file %s", path)
	}
	return data, nil
}

// quiet is a cause that errors.Is finds and nobody reads: the original's words
// are exact.
type quiet struct{ error }

func (quiet) Error() string   { return "" }
func (q quiet) Unwrap() error { return q.error }

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

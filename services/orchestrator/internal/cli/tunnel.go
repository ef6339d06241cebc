package cli

import (
	"io"
	"os"

	"github.com/microbosh/microbosh/pkg/manifest"
	"github.com/microbosh/microbosh/pkg/messages"
	"github.com/microbosh/microbosh/services/orchestrator/internal/tunnel"
)

// tunnelKey is the private key of the tunnel that the manifest wants, "" for
// none. It leaves this process only sealed.
func tunnelKey(d chosen) (string, error) {
	t, wanted := d.manifest.Tunnel()
	if !wanted {
		return "", nil
	}
	path, err := manifest.Beside(d.choice.Deployment, t.KeyFile)
	if err != nil {
		return "", keyError(err)
	}
	f, err := os.Open(path)
	if err != nil {
		return "", keyError(err)
	}
	defer f.Close()
	const limit = 64 << 10
	key, err := io.ReadAll(io.LimitReader(f, limit))
	if err != nil {
		return "", keyError(err)
	}
	if err := tunnel.CheckKey(key); err != nil {
		return "", keyError(err)
	}
	return string(key), nil
}

func keyError(err error) error {
	e := messages.Errorf(messages.CodeManifestInvalid, "cannot use the private key that the manifest names: %w", err)
	if hint := messages.AsError(err).Hint; hint != "" {
		return e.WithHint("%s", hint)
	}
	return e.WithHint("leave private_key out if no SSH tunnel is needed: a VM finds its settings in its user data, too")
}

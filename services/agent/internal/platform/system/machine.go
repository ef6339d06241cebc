package system

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/microbosh/microbosh/services/agent/internal/home"
)

// HostKey is the SSH server's; a machine without one has none.
func (s *System) HostKey(context.Context) (string, error) {
	for _, kind := range []string{"rsa", "ecdsa", "ed25519"} {
		key, err := home.ReadFile(s.path("/etc/ssh/ssh_host_" + kind + "_key.pub"))
		if err == nil {
			return strings.TrimSpace(string(key)), nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return "", fmt.Errorf("cannot read the host's public key: %w", err)
		}
	}
	return "", nil
}

// What SetHosts owns of /etc/hosts lies between these lines.
const (
	begin = "# begin of what BOSH knows"
	end   = "# end of what BOSH knows"
)

// SetHosts rewrites its part of /etc/hosts and leaves the rest.
func (s *System) SetHosts(_ context.Context, lines []string) error {
	path := s.path("/etc/hosts")
	now, err := home.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	before, rest, _ := strings.Cut(string(now), begin+"\n")
	_, after, _ := strings.Cut(rest, end+"\n")
	if before != "" && !strings.HasSuffix(before, "\n") {
		before += "\n"
	}
	text := before + after + begin + "\n" + strings.Join(lines, "\n") + "\n" + end + "\n"
	return home.WriteFile(path, []byte(text), 0o644)
}

// ForgetNeighbors removes ARP entries; one that is not there is none.
func (s *System) ForgetNeighbors(ctx context.Context, addresses []string) error {
	var failed []error
	for _, address := range addresses {
		failed = append(failed, run(ctx, "", "ip", "neigh", "flush", "to", address))
	}
	return errors.Join(failed...)
}

// ForgetNetwork makes udev name the interfaces anew at the next boot.
func (s *System) ForgetNetwork(context.Context) error {
	err := os.Remove(s.path("/etc/udev/rules.d/70-persistent-net.rules"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

const certificateMark = "-----END CERTIFICATE-----"

// TrustCertificates replaces the trusted certificates and has the system's
// bundle made anew.
func (s *System) TrustCertificates(ctx context.Context, pem string) error {
	dir := s.path("/usr/local/share/ca-certificates")
	old, err := filepath.Glob(filepath.Join(dir, "bosh-trusted-cert-*.crt"))
	if err != nil {
		return fmt.Errorf("cannot list the trusted certificates: %w", err)
	}
	if len(old) == 0 && strings.TrimSpace(pem) == "" {
		return nil
	}
	for _, path := range old {
		if err := os.Remove(path); err != nil {
			return fmt.Errorf("cannot remove a trusted certificate: %w", err)
		}
	}
	n := 0
	for part := range strings.SplitSeq(pem, certificateMark) {
		if strings.TrimSpace(part) == "" {
			continue
		}
		n++
		path := filepath.Join(dir, fmt.Sprintf("bosh-trusted-cert-%d.crt", n))
		if err := home.WriteFile(path, []byte(strings.TrimSpace(part)+"\n"+certificateMark+"\n"), 0o644); err != nil {
			return err
		}
	}
	if _, err := exec.LookPath("update-ca-certificates"); err != nil {
		return errors.New("cannot trust the certificates: update-ca-certificates is not installed")
	}
	return run(ctx, "", "update-ca-certificates")
}

// run tells what a failed command said.
func run(ctx context.Context, input, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Stdin = strings.NewReader(input)
	var words bytes.Buffer
	cmd.Stdout, cmd.Stderr = &words, &words
	if err := cmd.Run(); err != nil {
		const longest = 1 << 10
		return fmt.Errorf("%s: %w: %s", name, err, strings.TrimSpace(string(words.Bytes()[:min(words.Len(), longest)])))
	}
	return nil
}

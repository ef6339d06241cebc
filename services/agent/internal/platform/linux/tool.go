package linux

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
)

// maxOutput bounds what a tool may say.
const maxOutput = 1 << 20

// packageOf is where a tool comes from, for whom it is missing.
func packageOf(name string) string {
	switch name {
	case "sfdisk":
		return "fdisk (Debian) or util-linux"
	case "mkswap", "blkid", "swapon":
		return "util-linux"
	case "mke2fs", "resize2fs":
		return "e2fsprogs"
	case "mkfs.xfs", "xfs_growfs":
		return "xfsprogs"
	case "iptables", "ip6tables":
		return "iptables"
	case "useradd", "groupadd", "chpasswd":
		return "passwd (Debian) or shadow-utils"
	default:
		return name
	}
}

// toolError is how a tool ended.
type toolError struct {
	name  string
	code  int
	words string
}

func (e *toolError) Error() string {
	text := fmt.Sprintf("cannot run %s: it ended with %d", e.name, e.code)
	if e.words != "" {
		text += ": " + e.words
	}
	return text
}

// Is lets a full disk be recognized by what tools say of it.
func (e *toolError) Is(target error) bool {
	return errors.Is(target, syscall.ENOSPC) && strings.Contains(strings.ToLower(e.words), syscall.ENOSPC.Error())
}

// which finds a tool in PATH and where administrators' tools are.
func which(name string) (string, bool) {
	if path, err := exec.LookPath(name); err == nil {
		return path, true
	}
	for _, dir := range []string{"/usr/local/sbin", "/usr/sbin", "/sbin", "/usr/bin", "/bin"} {
		path := filepath.Join(dir, name)
		if is, err := os.Stat(path); err == nil && is.Mode().IsRegular() && is.Mode()&0o111 != 0 {
			return path, true
		}
	}
	return "", false
}

func missing(name string) error {
	return fmt.Errorf("cannot run %s: it is not installed; install the package %s", name, packageOf(name))
}

// run runs a tool to its end, or to that of this process. Secrets go in by stdin, never by args: those are
// seen by everybody.
func run(ctx context.Context, stdin, name string, args ...string) (string, error) {
	path, ok := which(name)
	if !ok {
		return "", missing(name)
	}
	// A tool must not go on behind the back of an agent that was killed and is
	// there again. The kernel counts the thread that starts it as its parent.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	cmd.Stdin = strings.NewReader(stdin)
	var out, words bounded
	cmd.Stdout, cmd.Stderr = &out, &words
	err := cmd.Run()
	var exit *exec.ExitError
	switch {
	case err == nil:
		return out.String(), nil
	case ctx.Err() != nil:
		return "", fmt.Errorf("cannot finish %s: %w", name, context.Cause(ctx))
	case errors.As(err, &exit):
		const some = 400
		said := strings.Join(strings.Fields(words.String()), " ")
		return out.String(), &toolError{name: name, code: exit.ExitCode(), words: said[:min(len(said), some)]}
	default:
		return "", fmt.Errorf("cannot run %s: %w", name, err)
	}
}

// bounded keeps the first maxOutput bytes.
type bounded struct{ bytes.Buffer }

func (b *bounded) Write(p []byte) (int, error) {
	if room := maxOutput - b.Len(); room > 0 {
		b.Buffer.Write(p[:min(room, len(p))])
	}
	return len(p), nil
}

package system

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/microbosh/microbosh/services/agent/internal/platform"
)

// System is this machine.
type System struct {
	root string
}

var _ platform.Served = (*System)(nil)

// New makes a System of the machine below root.
func New(root string) *System { return &System{root: root} }

func (s *System) path(p string) string { return filepath.Join(s.root, p) }

// groups are those of them that exist.
var groups = []string{"admin", "vcap", "bosh_sudoers", "bosh_sshers"}

// AddUser makes the account and its authorized_keys.
func (s *System) AddUser(ctx context.Context, u platform.User) error {
	if _, err := user.Lookup(u.Name); err != nil {
		var unknown user.UnknownUserError
		if !errors.As(err, &unknown) {
			return fmt.Errorf("cannot find the account %s: %w", u.Name, err)
		}
		if err := os.MkdirAll(u.Home, 0o755); err != nil {
			return fmt.Errorf("cannot make the account %s: %w", u.Name, err)
		}
		if err := run(ctx, "", "useradd", "-m", "-b", u.Home, "-s", "/bin/bash", u.Name); err != nil {
			return fmt.Errorf("cannot make the account %s: %w", u.Name, err)
		}
	}
	if u.Password != "" { // on stdin: arguments are for everybody to see
		if err := run(ctx, u.Name+":"+u.Password+"\n", "chpasswd", "-e"); err != nil {
			return fmt.Errorf("cannot set the password of %s: %w", u.Name, err)
		}
	}
	for _, group := range groups {
		if _, err := user.LookupGroup(group); err != nil {
			continue
		}
		if err := run(ctx, "", "usermod", "-a", "-G", group, u.Name); err != nil {
			return fmt.Errorf("cannot add %s to %s: %w", u.Name, group, err)
		}
	}
	return authorize(u)
}

func authorize(u platform.User) error {
	account, err := user.Lookup(u.Name)
	if err != nil {
		return err
	}
	uid, err := strconv.Atoi(account.Uid)
	if err != nil {
		return err
	}
	gid, err := strconv.Atoi(account.Gid)
	if err != nil {
		return err
	}
	dir := filepath.Join(account.HomeDir, ".ssh")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("cannot authorize the key: %w", err)
	}
	// The account may own the folder already: no link of its is followed.
	home, err := os.OpenRoot(dir)
	if err != nil {
		return fmt.Errorf("cannot authorize the key: %w", err)
	}
	defer home.Close()
	const name = "authorized_keys"
	if err := home.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("cannot authorize the key: %w", err)
	}
	if err := home.WriteFile(name, []byte(u.Key+"\n"), 0o600); err != nil {
		return fmt.Errorf("cannot authorize the key: %w", err)
	}
	return errors.Join(os.Lchown(dir, uid, gid), home.Lchown(name, uid, gid))
}

// DeleteUsers removes accounts and their homes.
func (s *System) DeleteUsers(ctx context.Context, match func(string) bool) error {
	passwd, err := os.Open(s.path("/etc/passwd"))
	if err != nil {
		return fmt.Errorf("cannot list the accounts: %w", err)
	}
	defer passwd.Close()
	var failed []error
	for lines := bufio.NewScanner(passwd); lines.Scan(); {
		name, _, _ := strings.Cut(lines.Text(), ":")
		if !strings.HasPrefix(name, platform.UserPrefix) || !match(name) {
			continue
		}
		if err := run(ctx, "", "userdel", "-r", "-f", name); err != nil {
			failed = append(failed, fmt.Errorf("cannot remove the account %s: %w", name, err))
		}
	}
	return errors.Join(failed...)
}

package linux

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// vcapName is BOSH's account, which jobs run as. A stemcell has it; any other
// machine gets it.
const vcapName = "vcap"

// vcap makes sure of the account, its group and its home, also when an agent
// was killed while it made them.
func (l *Linux) vcap(ctx context.Context) (uid, gid int, err error) {
	account, err := user.Lookup(vcapName)
	var unknown user.UnknownUserError
	if errors.As(err, &unknown) {
		args := []string{"--no-create-home", "--home-dir", "/home/" + vcapName, "--shell", "/bin/bash"}
		if _, err := user.LookupGroup(vcapName); err == nil {
			args = append(args, "--gid", vcapName)
		} else {
			args = append(args, "--user-group")
		}
		if err := l.accounts(ctx, "", "useradd", append(args, vcapName)...); err != nil {
			return 0, 0, fmt.Errorf("cannot make the account %s: %w", vcapName, err)
		}
		l.log.Info().Str("account", vcapName).Msg("account made")
		account, err = user.Lookup(vcapName)
	}
	if err != nil {
		return 0, 0, fmt.Errorf("cannot find the account %s: %w", vcapName, err)
	}
	uid, uidErr := strconv.Atoi(account.Uid)
	gid, gidErr := strconv.Atoi(account.Gid)
	if err := errors.Join(uidErr, gidErr); err != nil {
		return 0, 0, fmt.Errorf("cannot read the account %s: %w", vcapName, err)
	}
	if _, err := user.LookupGroupId(account.Gid); err != nil {
		if err := l.accounts(ctx, "", "groupadd", "--gid", account.Gid, vcapName); err != nil {
			return 0, 0, fmt.Errorf("cannot make the group %s: %w", vcapName, err)
		}
	}
	return uid, gid, makeHome(account.HomeDir, uid, gid)
}

// makeHome leaves a home that is somebody's as it is.
func makeHome(path string, uid, gid int) error {
	var is unix.Stat_t
	err := unix.Stat(path, &is)
	switch {
	case err == nil && is.Uid != 0:
		return nil
	case err != nil && !errors.Is(err, unix.ENOENT):
		return fmt.Errorf("cannot look at %s: %w", path, err)
	}
	return makeDir(path, 0o755, uid, gid)
}

// accounts runs a tool that changes /etc/passwd and its like.
func (l *Linux) accounts(ctx context.Context, stdin, name string, args ...string) error {
	if err := l.unlock(); err != nil {
		return err
	}
	_, err := run(ctx, stdin, name, args...)
	return err
}

// unlock removes locks whose owners were killed. The tools themselves only look
// whether a process has the number in the lock, and another may have it after a
// boot.
func (l *Linux) unlock() error {
	tools := []string{"useradd", "usermod", "userdel", "groupadd", "groupmod", "groupdel", "passwd", "chpasswd", "chage", "gpasswd", "vipw", "vigr", "newusers"}
	for _, name := range []string{"passwd", "shadow", "group", "gshadow", "subuid", "subgid"} {
		path := filepath.Join("/etc", name+".lock")
		text, err := os.ReadFile(path)
		if err != nil {
			continue // there is none
		}
		owner := strings.Trim(string(text), " \n\x00")
		program, err := os.ReadFile(filepath.Join("/proc", filepath.Base(owner), "comm"))
		if err == nil && slices.Contains(tools, strings.TrimSpace(string(program))) {
			continue
		}
		if err := os.Remove(path); err != nil {
			return fmt.Errorf("cannot remove the lock that process %s has left: %w", owner, err)
		}
		l.log.Info().Str("lock", path).Msg("a lock that a killed tool has left is removed")
	}
	return nil
}

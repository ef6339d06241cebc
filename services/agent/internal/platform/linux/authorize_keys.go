package linux

import (
	"context"
	"errors"
	"os/user"
	"path/filepath"
	"strings"
)

// AuthorizeKeys replaces the keys that may log in as vcap.
func (l *Linux) AuthorizeKeys(ctx context.Context, keys []string) error {
	if len(keys) == 0 {
		return nil
	}
	for _, key := range keys {
		if strings.ContainsAny(key, "\n\r\x00") {
			return errors.New("cannot authorize a key: it has more than one line")
		}
	}
	uid, gid, err := l.vcap(ctx)
	if err != nil {
		return err
	}
	account, err := user.Lookup("vcap")
	if err != nil {
		return err
	}
	dir := filepath.Join(account.HomeDir, ".ssh")
	if err := makeDir(dir, 0o700, uid, gid); err != nil {
		return err
	}
	_, err = put(filepath.Join(dir, "authorized_keys"), strings.Join(keys, "\n")+"\n", 0o644, uid, gid)
	return err
}

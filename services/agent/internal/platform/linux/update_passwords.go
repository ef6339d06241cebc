package linux

import (
	"context"
	"errors"
	"strings"

	"github.com/microbosh/microbosh/services/agent/internal/home"
)

// SetPassword gives the accounts a password that crypt(3) made already. It goes
// to chpasswd's standard input, as arguments are seen by everybody.
func (l *Linux) SetPassword(ctx context.Context, hash string, accounts ...string) error {
	for _, c := range []byte(hash) {
		if c <= ' ' || c > '~' || c == ':' {
			return errors.New("cannot set the password: env.bosh.password is no hash as crypt(3) makes them")
		}
	}
	if _, _, err := l.vcap(ctx); err != nil {
		return err
	}
	shadow, err := home.ReadFile("/etc/shadow")
	if err != nil {
		return err
	}
	var lines strings.Builder
	for _, account := range accounts {
		if !strings.Contains("\n"+string(shadow), "\n"+account+":"+hash+":") {
			lines.WriteString(account + ":" + hash + "\n")
		}
	}
	if lines.Len() == 0 {
		return nil
	}
	return l.accounts(ctx, lines.String(), "chpasswd", "-e")
}

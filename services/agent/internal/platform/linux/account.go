package linux

import (
	"context"
	"errors"
	"fmt"
	"os/user"
	"strconv"
)

// vcap is BOSH's account, which jobs run as. A stemcell has it; any other
// machine gets it.
func (l *Linux) vcap(ctx context.Context) (uid, gid int, err error) {
	account, err := user.Lookup("vcap")
	var unknown user.UnknownUserError
	if errors.As(err, &unknown) {
		args := []string{"--create-home", "--shell", "/bin/bash"}
		if _, err := user.LookupGroup("vcap"); err == nil { // a kill came between the two
			args = append(args, "--gid", "vcap")
		} else {
			args = append(args, "--user-group")
		}
		if _, err := run(ctx, "", "useradd", append(args, "vcap")...); err != nil {
			return 0, 0, fmt.Errorf("cannot make the account vcap: %w", err)
		}
		l.log.Info().Str("account", "vcap").Msg("account made")
		account, err = user.Lookup("vcap")
	}
	if err != nil {
		return 0, 0, fmt.Errorf("cannot find the account vcap: %w", err)
	}
	uid, err = strconv.Atoi(account.Uid)
	if err != nil {
		return 0, 0, fmt.Errorf("cannot read the account vcap: %w", err)
	}
	gid, err = strconv.Atoi(account.Gid)
	if err != nil {
		return 0, 0, fmt.Errorf("cannot read the account vcap: %w", err)
	}
	return uid, gid, nil
}

package action

import (
	"context"
	"errors"
	"fmt"
	"os/user"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"os"

	"github.com/microbosh/microbosh/services/agent/internal/platform"
)

// sshParams are the argument of ssh.
type sshParams struct {
	User      string  `json:"user"`
	Password  string  `json:"password"`
	PublicKey string  `json:"public_key"`
	Pattern   *string `json:"user_regex"`
}

type sshResult struct {
	Command       string `json:"command"`
	Status        string `json:"status"`
	IP            string `json:"ip,omitempty"`
	HostPublicKey string `json:"host_public_key,omitempty"`
}

func ssh(ctx context.Context, d *Dispatcher, c call) (any, error) {
	var command string
	var params sshParams
	if err := c.arg(0, &command); err != nil {
		return nil, err
	}
	if err := c.arg(1, &params); err != nil {
		return nil, err
	}
	d.machine.Lock()
	defer d.machine.Unlock()
	switch command {
	case "setup":
		return d.sshSetup(ctx, params)
	case "cleanup":
		return d.sshCleanup(ctx, params)
	default:
		return nil, errors.New("Unknown command for SSH method") //nolint:staticcheck // BOSH's text
	}
}

var userName = regexp.MustCompile(`^` + platform.UserPrefix + `[a-z0-9_-]{1,26}$`)

func (d *Dispatcher) sshSetup(ctx context.Context, p sshParams) (any, error) {
	switch {
	case !userName.MatchString(p.User):
		return nil, fmt.Errorf("Creating user: %q is no name for one, %s and small letters, digits, - and _ are", clip(p.User), platform.UserPrefix) //nolint:staticcheck // BOSH's text
	case p.PublicKey == "" || strings.ContainsAny(p.PublicKey, "\r\n\x00"):
		return nil, errors.New("Setting ssh public key: it is not one line") //nolint:staticcheck // BOSH's text
	case strings.ContainsAny(p.Password, ":\r\n\x00"):
		return nil, errors.New("Creating user: the password is no crypt(3) hash") //nolint:staticcheck // BOSH's text
	}
	key, err := d.o.Served.HostKey(ctx)
	if err != nil {
		return nil, fmt.Errorf("Getting host public key: %w", err) //nolint:staticcheck // BOSH's text
	}
	u := platform.User{Name: p.User, Home: d.o.Home.Join("bosh_ssh"), Key: p.PublicKey, Password: p.Password}
	if err := d.o.Served.AddUser(ctx, u); err != nil {
		return nil, fmt.Errorf("Creating user: %w", err) //nolint:staticcheck // BOSH's text
	}
	ip, err := d.defaultIP(ctx)
	if err != nil {
		return nil, err
	}
	return sshResult{Command: "setup", Status: "success", IP: ip, HostPublicKey: key}, nil
}

// defaultIP is the address of the network with a default route, else of the
// first by name, else the machine's own.
func (d *Dispatcher) defaultIP(ctx context.Context) (string, error) {
	first, names := "", []string{}
	for name := range d.o.Boot.Networks {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		n := d.o.Boot.Networks[name]
		if n.IP == "" {
			continue
		}
		if slices.Contains(n.Default, "gateway") {
			return n.IP, nil
		}
		if first == "" {
			first = n.IP
		}
	}
	if first != "" {
		return first, nil
	}
	n, err := d.o.Machine.DefaultNetwork(ctx)
	if err != nil || n.IP == "" {
		return "", errors.New("No default ip could be found") //nolint:staticcheck // BOSH's text
	}
	return n.IP, nil
}

func (d *Dispatcher) sshCleanup(ctx context.Context, p sshParams) (any, error) {
	if p.Pattern == nil {
		return sshResult{Command: "cleanup", Status: "bad_user"}, nil
	}
	const longest = 256
	if len(*p.Pattern) > longest {
		return nil, errors.New("SSH Cleanup: the user_regex is too long") //nolint:staticcheck // BOSH's text
	}
	pattern, err := regexp.Compile(*p.Pattern)
	if err != nil {
		return nil, fmt.Errorf("SSH Cleanup: %w", err) //nolint:staticcheck // BOSH's text
	}
	if err := d.o.Served.DeleteUsers(ctx, pattern.MatchString); err != nil {
		return nil, fmt.Errorf("SSH Cleanup: Deleting Ephemeral Users: %w", err) //nolint:staticcheck // BOSH's text
	}
	return sshResult{Command: "cleanup", Status: "success"}, nil
}

// giveTo makes a file an account's.
func giveTo(path, name string) error {
	account, err := user.Lookup(name)
	if err != nil {
		return fmt.Errorf("cannot give the file to %s: %w", clip(name), err)
	}
	uid, err := strconv.Atoi(account.Uid)
	if err != nil {
		return err
	}
	gid, err := strconv.Atoi(account.Gid)
	if err != nil {
		return err
	}
	return os.Chown(path, uid, gid)
}

package namespace

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"syscall"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// entered marks a process that lives in a network of its own.
const entered = "DEVCLOUD_NETWORK"

// hostVariable tells microbosh where servers reach it.
const hostVariable = "MICROBOSH_HOST"

// Entered tells whether this process is in a network that Enter made.
func Entered() bool { return os.Getenv(entered) != "" }

// Available says why servers of this kind cannot be made here, nil when they
// can.
func Available() error {
	if os.Geteuid() != 0 {
		return errors.New("it takes root")
	}
	for _, path := range []string{"/dev/loop-control", "/proc/self/ns/net", "/proc/self/ns/pid"} {
		if _, err := os.Stat(path); err != nil {
			return fmt.Errorf("this kernel has no %s", path)
		}
	}
	if _, err := exec.LookPath("mke2fs"); err != nil {
		return errors.New("mke2fs is not installed; install the package e2fsprogs")
	}
	if !Entered() {
		return errors.New("it must not run in the host's network: devcloud --network COMMAND starts a command in one of its own")
	}
	return nil
}

// Enter runs a command in a network namespace of its own, with a loopback and
// the servers' bridge and nothing else, and returns its exit code.
func Enter(args []string) (int, error) {
	if len(args) == 0 {
		return 0, errors.New("cannot enter a network: no command is given")
	}
	path, err := exec.LookPath(args[0])
	if err != nil {
		return 0, fmt.Errorf("cannot run %s: %w", args[0], err)
	}
	self, err := os.Executable()
	if err != nil {
		return 0, fmt.Errorf("cannot find this program: %w", err)
	}
	cmd := exec.Command(self)
	cmd.Args = append([]string{self, path}, args[1:]...)
	cmd.Env = append(os.Environ(), entered+"=entering")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNET}
	err = cmd.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return exit.ExitCode(), nil
	}
	if err != nil {
		return 0, fmt.Errorf("cannot enter a network: %w", err)
	}
	return 0, nil
}

// becomeEntered goes on as the command, once the loopback is up.
func becomeEntered() error {
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		return fmt.Errorf("cannot find the loopback: %w", err)
	}
	if err := netlink.LinkSetUp(lo); err != nil {
		return fmt.Errorf("cannot bring the loopback up: %w", err)
	}
	// The bridge is there before devcloud, so that a bus can listen on it.
	gateway, err := makeBridge(netip.MustParsePrefix(Subnet))
	if err != nil {
		return err
	}
	if err := os.Setenv(entered, "entered"); err != nil {
		return err
	}
	if os.Getenv(hostVariable) == "" {
		if err := os.Setenv(hostVariable, gateway.String()); err != nil {
			return err
		}
	}
	return unix.Exec(os.Args[1], os.Args[1:], os.Environ())
}

// Init turns this process into a server's first one, or into a command of
// Enter, when it was started as such, and then never returns. Call it first
// thing in main.
func Init() {
	var err error
	switch {
	case os.Getenv(guestVariable) != "":
		err = initGuest(os.Getenv(guestVariable))
	case os.Getenv(entered) == "entering":
		err = becomeEntered()
	default:
		return
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "devcloud:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

package linux_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"

	"github.com/microbosh/microbosh/services/agent/internal/bootstrap"
	"github.com/microbosh/microbosh/services/agent/internal/disk"
	"github.com/microbosh/microbosh/services/agent/internal/home"
	"github.com/microbosh/microbosh/services/agent/internal/platform"
	"github.com/microbosh/microbosh/services/agent/internal/platform/linux"
	"github.com/microbosh/microbosh/test/killpoint"
)

var killAll = flag.Bool("kill.all", false, "kill at every point, not at some of each life")

// life marks a process that lives one of lives instead of testing.
const life = "MICROBOSH_TEST_LIFE"

func TestMain(m *testing.M) {
	killpoint.Launch()
	if name := os.Getenv(life); name != "" {
		if err := lives()[name].live(context.Background()); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// lifetime is something that is killed half-way and then done again.
type lifetime struct {
	disks   []string
	before  func(*vm)
	prepare string // the machine before, in shell
	live    func(context.Context) error
	state   string // what a person looks at, in shell
}

const ownState = `hostname; cat /etc/hosts /etc/hostname /etc/resolv.conf /etc/network/interfaces /etc/cron.allow /etc/at.allow
iptables -S; ip6tables -S; getent passwd vcap; getent shadow root vcap | cut -d: -f1,2; cat /home/vcap/.ssh/authorized_keys
ip -4 -o addr show dev eth0 | awk '{print $4}'; ip route show default
findmnt -n -o TARGET,FSTYPE /var/vcap/data; findmnt -n -o TARGET,FSTYPE /var/vcap/store; findmnt -n -o TARGET,FSTYPE /tmp; grep -c ' /tmp \| /var/vcap/' /proc/self/mountinfo
for d in /dev/sdb /dev/sdc; do sfdisk -l -q -o Size,Type,Name $d; done; cat /var/vcap/store/file
stat -c '%n %a %U:%G' /var/vcap/data /var/vcap/data/sys /var/vcap/data/sys/log /var/vcap/data/sys/run /var/vcap/store /tmp /var/tmp /dev/shm /var/lock/ \
  /home/vcap /home/vcap/.ssh /home/vcap/.ssh/authorized_keys /etc/cron.allow /etc/at.allow /var/vcap/monit/monit.user /var/vcap/bosh/settings.json
readlink /var/vcap/sys; cat /var/vcap/bosh/etc/ntpserver; find /etc /var/vcap/bosh -newer /before -name '.*' | grep -v /etc/.pwd.lock; ls /var/vcap/bosh`

func lives() map[string]lifetime {
	return map[string]lifetime{
		"bootstrap": {
			disks: []string{"/dev/sdb", "/dev/sdc"},
			before: func(v *vm) {
				_, err := v.Mount(v.ctx, "/dev/sdc", platform.MountOptions{Format: true})
				v.must(err)
				v.sh("echo kept > /var/vcap/store/file")
				_, err = v.Unmount(v.ctx, "/dev/sdc")
				v.must(err)
			},
			prepare: `ip link add eth0 address 02:00:00:00:00:07 type veth peer name out; ip link set out up; mkdir -p /etc/network; rm -rf /etc/resolv.conf /etc/dhcp
userdel -r vcap 2>/dev/null; rm -f /etc/cron.allow /etc/at.allow; touch /before
cat > /var/vcap/bosh/user_data.json <<'E'
{"agent_id":"bm-1","vm":{"name":"vm-1"},"mbus":"nats://a:b@10.3.0.1:4222","ntp":["10.3.0.1"],
 "networks":{"a":{"type":"manual","ip":"10.3.0.7","netmask":"255.255.255.0","gateway":"10.3.0.1","mac":"02:00:00:00:00:07","use_dhcp":false,"default":["dns","gateway"],"dns":["10.3.0.2"]}},
 "disks":{"ephemeral":"/dev/sdb","persistent":{"vol":"/dev/sdc"}},"iptables":{"drop_output":["10.9.0.0/16"]},
 "env":{"bosh":{"password":"$6$salt$hash","authorized_keys":["ssh-ed25519 A b"]}}}
E
`,
			live: func(ctx context.Context) error {
				dir, machine, err := thisMachine()
				if err != nil {
					return err
				}
				loader := bootstrap.NewLoader(bootstrap.LoaderOptions{
					Home: dir, Sources: []bootstrap.Source{bootstrap.FileSource{Path: dir.Bosh("user_data.json")}}, Log: zerolog.Nop(),
				})
				_, err = bootstrap.Run(ctx, bootstrap.Options{
					Home: dir, Configure: true, Loader: loader, Platform: machine, Log: zerolog.New(os.Stderr),
					Disks: disk.New(disk.Options{Home: dir, Platform: machine, Settings: loader.Settings}),
				})
				return err
			},
			state: ownState,
		},
		"mount": {
			disks: []string{"/dev/sdc"},
			live: func(ctx context.Context) error {
				_, machine, err := thisMachine()
				if err != nil {
					return err
				}
				_, err = machine.Mount(ctx, "/dev/sdc", platform.MountOptions{Format: true})
				return err
			},
			state: `findmnt -n -o TARGET,FSTYPE /var/vcap/store; grep -c ' /var/vcap/' /proc/self/mountinfo; sfdisk -l -q -o Size,Type,Name /dev/sdc; touch /var/vcap/store/file && ls /var/vcap/store`,
		},
		"migrate": {
			disks: []string{"/dev/sdc", "/dev/sdd"},
			live: func(ctx context.Context) error {
				_, machine, err := thisMachine()
				if err != nil {
					return err
				}
				for _, device := range []string{"/dev/sdc", "/dev/sdd"} {
					if _, err := os.Stat("/var/vcap/store/file"); err == nil && device == "/dev/sdc" {
						continue // it is the store, of before or of after
					}
					if _, err := os.Stat("/migrating"); err == nil {
						break
					}
					if _, err := machine.Mount(ctx, device, platform.MountOptions{Format: true}); err != nil {
						return err
					}
					if device == "/dev/sdc" {
						if err := os.WriteFile("/var/vcap/store/file", []byte("kept\n"), 0o640); err != nil {
							return err
						}
					}
				}
				if err := os.WriteFile("/migrating", nil, 0o600); err != nil {
					return err
				}
				return machine.Migrate(ctx, "/dev/sdc", "/dev/sdd")
			},
			state: `findmnt -n -o TARGET,FSTYPE /var/vcap/store; grep -c ' /var/vcap/' /proc/self/mountinfo; cat /var/vcap/store/file; stat -c %a /var/vcap/store/file; touch /var/vcap/store/more; ls /var/vcap/bosh; df --output=size -m /var/vcap/store | tail -1`,
		},
	}
}

func thisMachine() (home.Dir, *linux.Linux, error) {
	dir, err := home.New("/var/vcap", "/")
	if err != nil {
		return dir, nil, err
	}
	machine, err := linux.New(linux.Options{Home: dir, Container: true, Log: zerolog.New(os.Stderr)})
	return dir, machine, err
}

// Killed before any change that it or one of its tools makes, an agent that is
// started again comes to the machine that one which lives comes to. The tests
// look at the machine.
func TestKilledAtEveryPoint(t *testing.T) {
	t.Parallel()
	const name, at = "VM_LIFE", "VM_KILL_AT"
	if os.Getenv(inside) == t.Name() {
		n, err := strconv.Atoi(os.Getenv(at))
		if err != nil {
			t.Fatal(err)
		}
		enter(t).liveTwice(os.Getenv(name), n)
		return
	}
	needs(t, append(diskTools(), "iptables", "ip", "useradd", "cp"))
	for what := range lives() {
		whole, points := parts(inMachine(t, name+"="+what, at+"=0"))
		if points == 0 || !strings.Contains(whole, "/var/vcap/store ext4") {
			t.Fatalf("%s: the machine that lives is %d points old:\n%s", what, points, whole)
		}
		const some = 8
		step := max(1, points/some)
		if *killAll {
			step = 1
		}
		t.Logf("%s: %d points, every %d. is tried", what, points, step)
		for n := 1; n <= points; n += step {
			got, _ := parts(inMachine(t, name+"="+what, at+"="+strconv.Itoa(n)))
			if diff := cmp.Diff(whole, got); diff != "" {
				t.Errorf("%s, killed at %d:\n%s", what, n, diff)
			}
		}
	}
}

const mark = "~~~~"

// parts finds the state and the number of points in what the machine's first
// process said.
func parts(out string) (state string, points int) {
	pieces := strings.Split(out, mark)
	if len(pieces) != 4 {
		return out, 0
	}
	points, _ = strconv.Atoi(pieces[2])
	return pieces[1], points
}

// liveTwice prepares the machine, lives, killed at n, and once more if it was.
func (v *vm) liveTwice(what string, n int) {
	v.Helper()
	l := lives()[what]
	const mib = 200
	for i, device := range l.disks {
		v.disk(device, int64(mib+i*mib/2))
	}
	if l.before != nil {
		l.before(v)
	}
	if l.prepare != "" {
		v.sh(l.prepare)
	}
	first := process(what)
	watched := killpoint.Start(v.T, first, n)
	err := v.end(first)
	killed, before := watched.Disarm()
	if n > 0 != killed || killed != (err != nil) {
		v.Fatalf("killed at %d is %v: %v", n, killed, err)
	}
	if killed {
		reap()
		if err := v.end(start(v, process(what))); err != nil {
			v.Fatalf("after a kill at %d, before %s, it does not come up: %v", n, before, err)
		}
	}
	fmt.Printf("%s%s%s%d%s\n", mark, v.sh(l.state), mark, watched.Changes(), mark)
}

// reap waits for what the killed process has left, as a machine's init does: a
// tool that has ended and was not waited for still holds its locks.
func reap() {
	for {
		if _, err := syscall.Wait4(-1, nil, 0, nil); err != nil && !errors.Is(err, syscall.EINTR) {
			return
		}
	}
}

func process(what string) *exec.Cmd {
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), life+"="+what)
	cmd.Stderr = os.Stderr
	return cmd
}

func start(v *vm, cmd *exec.Cmd) *exec.Cmd {
	v.Helper()
	v.must(cmd.Start())
	return cmd
}

// end waits for a process.
func (v *vm) end(cmd *exec.Cmd) error {
	v.Helper()
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	select {
	case err := <-ended:
		return err
	case <-time.After(time.Minute):
		_ = cmd.Process.Kill()
		v.Fatal("it does not end")
		return nil
	}
}

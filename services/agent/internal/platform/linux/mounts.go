package linux

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// mount is a line of /proc/self/mountinfo.
type mount struct {
	device uint64 // of the block device
	point  string
	source string
	kind   string
}

type mounts []mount

// readMounts reads what this process sees mounted.
func readMounts() (mounts, error) {
	data, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, fmt.Errorf("cannot read the mounts: %w", err)
	}
	return parseMounts(string(data)), nil
}

func parseMounts(text string) mounts {
	var out mounts
	octal := strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`)
	for line := range strings.Lines(text) {
		before, after, ok := strings.Cut(line, " - ")
		left, right := strings.Fields(before), strings.Fields(after)
		if !ok || len(left) < 5 || len(right) < 2 {
			continue
		}
		major, minor, _ := strings.Cut(left[2], ":")
		hi, err := strconv.ParseUint(major, 10, 32)
		if err != nil {
			continue
		}
		lo, err := strconv.ParseUint(minor, 10, 32)
		if err != nil {
			continue
		}
		out = append(out, mount{
			device: unix.Mkdev(uint32(hi), uint32(lo)), point: octal.Replace(left[4]),
			source: octal.Replace(right[1]), kind: right[0],
		})
	}
	return out
}

// at is what lies on top at a mount point.
func (m mounts) at(point string) (mount, bool) {
	for i := len(m) - 1; i >= 0; i-- {
		if m[i].point == point {
			return m[i], true
		}
	}
	return mount{}, false
}

// of is where a block device is mounted.
func (m mounts) of(device uint64) (mount, bool) {
	for i := len(m) - 1; i >= 0; i-- {
		if m[i].device == device {
			return m[i], true
		}
	}
	return mount{}, false
}

// mountOptions splits what mount(8) takes with -o.
func mountOptions(options []string) (flags uintptr, data string, err error) {
	known := map[string]uintptr{
		"noatime": unix.MS_NOATIME, "nodiratime": unix.MS_NODIRATIME, "relatime": unix.MS_RELATIME, "nodev": unix.MS_NODEV,
		"nosuid": unix.MS_NOSUID, "noexec": unix.MS_NOEXEC, "ro": unix.MS_RDONLY, "sync": unix.MS_SYNCHRONOUS,
		"dirsync": unix.MS_DIRSYNC, "lazytime": unix.MS_LAZYTIME, "rw": 0, "defaults": 0,
	}
	var rest []string
	for _, list := range options {
		for _, option := range strings.Split(list, ",") {
			if option == "" {
				continue
			}
			if flag, ok := known[option]; ok {
				flags |= flag
				continue
			}
			if strings.ContainsAny(option, " \t\n\x00") {
				return 0, "", fmt.Errorf("cannot use the mount option %q", option)
			}
			rest = append(rest, option)
		}
	}
	return flags, strings.Join(rest, ","), nil
}

package lab

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// tick is the unit of /proc/<pid>/stat's times on Linux.
const tick = 10 * time.Millisecond

// plane are the processes of the control plane: no cloud, no VMs.
func (l *Lab) plane() []*Process {
	out := []*Process{l.Bus, l.Registry}
	out = append(out, l.Orchestrators...)
	return append(out, l.CPIs...)
}

// Stop ends every program.
func (l *Lab) Stop() {
	for _, p := range append(l.plane(), l.Cloud) {
		p.Stop()
	}
}

// CPU is what the control plane has used so far.
func (l *Lab) CPU() time.Duration {
	var sum time.Duration
	for _, p := range l.plane() {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%s/stat", p.PID()[1:]))
		if err != nil {
			l.t.Fatal(err)
		}
		fields := strings.Fields(string(b[strings.LastIndexByte(string(b), ')')+1:]))
		for _, field := range fields[11:13] {
			n, err := strconv.Atoi(field)
			if err != nil {
				l.t.Fatal(err)
			}
			sum += time.Duration(n) * tick
		}
	}
	return sum
}

// Memory is the sum of the control plane's peaks, in bytes.
func (l *Lab) Memory() int64 {
	var sum int64
	for _, p := range l.plane() {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%s/status", p.PID()[1:]))
		if err != nil {
			l.t.Fatal(err)
		}
		for _, line := range strings.Split(string(b), "\n") {
			var kb int64
			if _, err := fmt.Sscanf(line, "VmHWM: %d kB", &kb); err == nil {
				sum += kb << 10
			}
		}
	}
	return sum
}

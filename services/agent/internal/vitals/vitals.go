package vitals

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/microbosh/microbosh/pkg/messages"
)

// Vitals are BOSH's.
type Vitals = messages.Vitals

// Meter measures. CPU shares are those since the measurement before, the first
// time those since boot.
type Meter struct {
	proc  string
	disks func() map[string]string

	mu   sync.Mutex // guards last
	last cpu
}

type cpu struct{ user, sys, wait, total float64 }

// New makes a Meter. proc is /proc when empty; disks names the folders to
// measure: system, ephemeral, persistent.
func New(proc string, disks func() map[string]string) *Meter {
	if proc == "" {
		proc = "/proc"
	}
	return &Meter{proc: proc, disks: disks}
}

// Measure never fails: what cannot be read is left at zero.
func (m *Meter) Measure() Vitals {
	var v Vitals
	v.CPU = m.cpu()
	v.Mem, v.Swap = m.memory()
	v.Load = []string{"0.00", "0.00", "0.00"}
	if f := strings.Fields(m.read("loadavg")); len(f) >= 3 {
		v.Load = f[:3]
	}
	if f := strings.Fields(m.read("uptime")); len(f) > 0 {
		secs, _ := strconv.ParseFloat(f[0], 64)
		v.Uptime.Secs = int64(secs)
	}
	v.Disk = map[string]messages.DiskVitals{}
	for name, path := range m.disks() {
		if usage, ok := disk(path); ok {
			v.Disk[name] = usage
		}
	}
	return v
}

func (m *Meter) read(name string) string {
	f, err := os.Open(filepath.Join(m.proc, name))
	if err != nil {
		return ""
	}
	defer f.Close()
	const limit = 1 << 20
	data, _ := io.ReadAll(io.LimitReader(f, limit))
	return string(data)
}

func (m *Meter) cpu() messages.CPUVitals {
	line, _, _ := strings.Cut(m.read("stat"), "\n")
	fields := strings.Fields(line)
	var ticks [8]float64 // user nice system idle iowait irq softirq steal
	if len(fields) > len(ticks) {
		for i := range ticks {
			ticks[i], _ = strconv.ParseFloat(fields[i+1], 64)
		}
	}
	now := cpu{user: ticks[0] + ticks[1], sys: ticks[2] + ticks[5] + ticks[6], wait: ticks[4]}
	for _, t := range ticks {
		now.total += t
	}
	m.mu.Lock()
	before := m.last
	m.last = now
	m.mu.Unlock()
	share := func(now, before, total float64) string {
		if total <= 0 {
			return "0.0"
		}
		return fmt.Sprintf("%.1f", math.Max(0, now-before)*100/total)
	}
	total := now.total - before.total
	return messages.CPUVitals{
		User: share(now.user, before.user, total),
		Sys:  share(now.sys, before.sys, total),
		Wait: share(now.wait, before.wait, total),
	}
}

func (m *Meter) memory() (mem, swap messages.MemVitals) {
	kb := map[string]int64{}
	lines := bufio.NewScanner(bytes.NewBufferString(m.read("meminfo")))
	for lines.Scan() {
		name, rest, _ := strings.Cut(lines.Text(), ":")
		if f := strings.Fields(rest); len(f) > 0 {
			kb[name], _ = strconv.ParseInt(f[0], 10, 64)
		}
	}
	used := func(total, free int64) messages.MemVitals {
		v := messages.MemVitals{KB: strconv.FormatInt(total-free, 10), Percent: "0"}
		if total > 0 {
			v.Percent = strconv.FormatInt(int64(math.Round(float64(total-free)*100/float64(total))), 10)
		}
		return v
	}
	return used(kb["MemTotal"], kb["MemAvailable"]), used(kb["SwapTotal"], kb["SwapFree"])
}

// disk rounds up, as df does.
func disk(path string) (messages.DiskVitals, bool) {
	var s unix.Statfs_t
	if unix.Statfs(path, &s) != nil {
		return messages.DiskVitals{}, false
	}
	percent := func(used, all uint64) string {
		if all == 0 {
			return "0"
		}
		return strconv.FormatUint((used*100+all-1)/all, 10)
	}
	used := s.Blocks - s.Bfree
	return messages.DiskVitals{
		Percent:      percent(used, used+s.Bavail),
		InodePercent: percent(s.Files-s.Ffree, s.Files),
	}, true
}

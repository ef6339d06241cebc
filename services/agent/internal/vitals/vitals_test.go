package vitals_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/microbosh/microbosh/pkg/messages"
	"github.com/microbosh/microbosh/services/agent/internal/vitals"
)

func TestMeasure(t *testing.T) {
	t.Parallel()
	proc := t.TempDir()
	write := func(name, content string) {
		if err := os.WriteFile(filepath.Join(proc, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("stat", "cpu  100 0 50 800 50 0 0 0 0 0\ncpu0 1 1 1 1\n")
	write("meminfo", "MemTotal: 1000 kB\nMemFree: 1 kB\nMemAvailable: 588 kB\nSwapTotal: 0 kB\nSwapFree: 0 kB\n")
	write("loadavg", "0.21 0.18 0.11 1/2 3\n")
	write("uptime", "822.55 1600.00\n")
	m := vitals.New(proc, func() map[string]string {
		return map[string]string{"system": proc, "persistent": filepath.Join(proc, "none")}
	})
	v := m.Measure()
	want := vitals.Vitals{
		CPU:  messages.CPUVitals{User: "10.0", Sys: "5.0", Wait: "5.0"},
		Mem:  messages.MemVitals{KB: "412", Percent: "41"},
		Swap: messages.MemVitals{KB: "0", Percent: "0"},
		Load: []string{"0.21", "0.18", "0.11"},
		Disk: map[string]messages.DiskVitals{"system": v.Disk["system"]},
	}
	want.Uptime.Secs = 822
	if diff := cmp.Diff(want, v); diff != "" {
		t.Error(diff)
	}
	write("stat", "cpu  150 0 50 850 50 0 0 0 0 0\n")
	if cpu := m.Measure().CPU; cpu.User != "50.0" || cpu.Sys != "0.0" {
		t.Errorf("since the first: %+v", cpu)
	}
}

func TestMeasureWithoutProc(t *testing.T) {
	t.Parallel()
	v := vitals.New(filepath.Join(t.TempDir(), "none"), func() map[string]string { return nil }).Measure()
	if len(v.Load) != 3 || v.CPU.User != "0.0" {
		t.Errorf("got %+v", v)
	}
}

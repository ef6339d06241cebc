package agent

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rs/zerolog"

	"github.com/microbosh/microbosh/services/agent/internal/platform/linux"
)

func TestOptionsOfAStemcell(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "agent.json")
	text := `{"Platform":{"Linux":{"UseDefaultTmpDir":true,"SkipDiskSetup":false,"VirtioDevicePrefix":"disk",
		"DevicePathResolutionType":"virtio","CreatePartitionIfNoEphemeralDisk":true,"Unheard":{"a":1}}},"Infrastructure":{}}`
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	options, err := platformOptions(file)
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	o := linux.Options{Log: zerolog.New(&log)}
	options.apply(&o)
	if !o.KeepTmp || o.KeepDisks || o.VirtioID != "disk-" {
		t.Errorf("got %+v", o)
	}
	for _, told := range []string{`"CreatePartitionIfNoEphemeralDisk"`, `"Unheard"`} {
		if !strings.Contains(log.String(), told) {
			t.Errorf("the log does not tell %s:\n%s", told, &log)
		}
	}
	if strings.Contains(log.String(), "UseDefaultTmpDir") || strings.Contains(log.String(), "DevicePathResolutionType") {
		t.Errorf("the log tells what was honoured:\n%s", &log)
	}
	if _, err := platformOptions(filepath.Join(t.TempDir(), "none")); err == nil {
		t.Error("a missing agent.json was taken")
	}
}

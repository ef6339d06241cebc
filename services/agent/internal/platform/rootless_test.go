package platform

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rs/zerolog"

	"github.com/microbosh/microbosh/pkg/messages"
	"github.com/microbosh/microbosh/services/agent/internal/home"
)

func TestDefaultRoute(t *testing.T) {
	t.Parallel()
	table := "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\n" +
		"eth1\t0000A8C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\n" +
		"eth0\t00000000\t0102000A\t0003\t0\t0\t0\t00000000\n"
	if device, gateway := defaultRoute(strings.NewReader(table)); device != "eth0" || gateway != "10.0.2.1" {
		t.Errorf("got %s %s", device, gateway)
	}
	if device, _ := defaultRoute(strings.NewReader("nonsense\n")); device != "" {
		t.Errorf("got %s", device)
	}
}

// Every file that the platform touches is below the base folder, and no record
// holds a password.
func TestRootlessStaysInItsFolder(t *testing.T) {
	t.Parallel()
	top := t.TempDir()
	dir, err := home.New(filepath.Join(top, "var", "vcap"), "")
	if err != nil {
		t.Fatal(err)
	}
	r := NewRootless(dir, zerolog.Nop())
	ctx := context.Background()
	networks := map[string]messages.Network{"a": {Type: "dynamic", Default: []string{"dns"}, DNS: []string{"10.0.0.2"}}}
	for name, step := range map[string]func() error{
		"authorize_keys":     func() error { return r.AuthorizeKeys(ctx, []string{"ssh-rsa A"}) },
		"update_iptables":    func() error { return r.Drop(ctx, []Drop{{To: "10.0.0.9", Port: 4222}}) },
		"update_passwords":   func() error { return r.SetPassword(ctx, "secret-hash", "root", "vcap") },
		"update_hostname":    func() error { return r.SetHostname(ctx, "a-1") },
		"setup_networking":   func() error { return r.SetupNetworking(ctx, networks) },
		"update_time":        func() error { return r.SetTime(ctx, []string{"ntp"}) },
		"setup_data_disk":    func() error { return r.SetupDataDisk(ctx, "/dev/sdb") },
		"setup_data_sys":     func() error { return r.SetupDataSys(ctx) },
		"setup_tmp":          func() error { return r.SetupTmp(ctx) },
		"harden_permissions": func() error { return r.HardenPermissions(ctx) },
		"setup_logrotate":    func() error { return r.SetupLogrotate(ctx, "50M") },
		"shutdown":           func() error { return r.Shutdown(ctx) },
	} {
		if err := step(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		var got Recorded
		path := dir.Bosh("recorded", name+".json")
		if err := home.ReadJSON(path, &got); err != nil || got.Step != name || len(got.Changes) == 0 {
			t.Errorf("%s recorded %+v %v", name, got, err)
		}
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v %v", name, info, err)
		}
		if text, _ := os.ReadFile(path); strings.Contains(string(text), "secret-hash") {
			t.Errorf("%s recorded a password", name)
		}
	}
	for _, folder := range []string{top, filepath.Join(top, "var")} {
		entries, err := os.ReadDir(folder)
		if err != nil || len(entries) != 1 {
			t.Errorf("%s holds %v %v", folder, entries, err)
		}
	}
}

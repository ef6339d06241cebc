package linux

import (
	"flag"
	"net"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/microbosh/microbosh/services/agent/internal/platform"
)

var update = flag.Bool("update", false, "write the golden files")

// Every file that the agent writes for another program, as it is written.
func TestFiles(t *testing.T) {
	t.Parallel()
	public := static{
		iface: "eth0", mac: "02:00:00:00:00:07", ip: &net.IPNet{IP: net.IPv4(172, 30, 40, 115).To4(), Mask: net.CIDRMask(21, 32)},
		gateway: net.IPv4(172, 30, 40, 1), dns: []string{"10.0.0.2", "10.0.0.3"},
	}
	private := static{iface: "eth1", mac: "02:00:00:00:00:08", ip: &net.IPNet{IP: net.IPv4(10, 0, 0, 7).To4(), Mask: net.CIDRMask(24, 32)}}
	ntp := []string{"0.pool.ntp.org", "10.0.0.1"}
	for name, got := range map[string]string{
		"interfaces":     interfacesFile([]static{public, private}),
		"ifcfg-eth0":     ifcfgFile(public),
		"ifcfg-eth1":     ifcfgFile(private),
		"eth0.network":   networkdFile(public),
		"eth1.network":   networkdFile(private),
		"dhcp.network":   networkdDHCP(public.dns),
		"dhclient.conf":  dhclientFile(public.dns),
		"resolv.conf":    resolvFile(public.dns),
		"resolved.conf":  resolvedFile(public.dns),
		"chrony.sources": chronyFile(ntp),
		"timesyncd.conf": timesyncdFile(ntp),
		"hosts":          platform.Hosts("bm-1"),
		"logrotate":      platform.Logrotate("/var/vcap/data/sys/log", "50M"),
	} {
		path := filepath.Join("testdata", name)
		if *update {
			if err := os.MkdirAll("testdata", 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), got); diff != "" {
			t.Errorf("%s (-update writes it):\n%s", name, diff)
		}
	}
}

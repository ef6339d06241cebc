package rootless_test

import (
	"io"
	"net/http"
	"os"
	"regexp"
	"testing"
)

// The agent is told where its metadata is; what it finds there is the server's.
func TestMetadata(t *testing.T) {
	t.Parallel()
	h, g := hypervisor(t), server(t, "127.20.7.8")
	boot(t, h, g)
	pids(t, g, "agents", 1)
	match := regexp.MustCompile(`agent -c -I openstack -P rootless -b (\S+)/var/vcap --metadata (http://127\.20\.7\.8:\d+)\n`).FindStringSubmatch(console(t, g))
	if match == nil {
		t.Fatalf("the console says %q", console(t, g))
	}
	if _, err := os.Stat(match[1]); err != nil {
		t.Error(err)
	}
	for path, want := range map[string]string{
		"/latest/user-data":                           `{"server":{"name":"vm"}}`,
		"/latest/meta-data/instance-id":               "s",
		"/latest/meta-data/public-keys/0/openssh-key": "ssh-ed25519 A b",
	} {
		resp, err := http.Get(match[2] + path)
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		if err := resp.Body.Close(); err != nil {
			t.Error(err)
		}
		if string(b) != want {
			t.Errorf("%s is %q", path, b)
		}
	}
}

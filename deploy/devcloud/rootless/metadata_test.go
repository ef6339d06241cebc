package rootless_test

import (
	"io"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
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

// Who asks must be known: the kernel's table of IPv4 connections does not tell
// whose an IPv6 socket is.
func TestMetadataIsPrivate(t *testing.T) {
	t.Parallel()
	h, g := hypervisor(t), server(t, "127.20.7.9")
	boot(t, h, g)
	pids(t, g, "agents", 1)
	port := regexp.MustCompile(`--metadata http://127\.20\.7\.9:(\d+)`).FindStringSubmatch(console(t, g))
	if port == nil {
		t.Fatalf("the console says %q", console(t, g))
	}
	number, err := strconv.Atoi(port[1])
	if err != nil {
		t.Fatal(err)
	}
	fd, err := unix.Socket(unix.AF_INET6, unix.SOCK_STREAM, 0)
	if err != nil {
		t.Skipf("no IPv6 here: %v", err)
	}
	mapped := &unix.SockaddrInet6{Port: number, Addr: [16]byte{10: 0xff, 11: 0xff, 12: 127, 13: 20, 14: 7, 15: 9}}
	if err := unix.Connect(fd, mapped); err != nil {
		t.Fatal(err)
	}
	f := os.NewFile(uintptr(fd), "socket")
	defer f.Close()
	if _, err := f.WriteString("GET /latest/user-data HTTP/1.0\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(f)
	if err != nil || !strings.HasPrefix(string(answer), "HTTP/1.0 403") || strings.Contains(string(answer), "server") {
		t.Errorf("the answer is %q, %v", answer, err)
	}
}

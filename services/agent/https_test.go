package main_test

import (
	"bytes"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/microbosh/microbosh/pkg/bus/bustest"
)

// Two VMs of one host that are to listen on every address listen each on its
// own, also when the metadata service is away.
func TestTwoVMsOfOneHostListenOverHTTPS(t *testing.T) {
	t.Parallel()
	b := bustest.Start(t)
	port := freePort(t, "127.9.1.7", "127.9.1.8")
	vms := map[string]*vm{}
	for _, address := range []string{"127.9.1.7", "127.9.1.8"} {
		v := newVMOn(t, b.Connect(t, "director"), "https://vcap:secret-pw@0.0.0.0:"+port)
		v.address = address
		v.start()
		vms[address] = v
	}
	for address := range vms {
		if got := pingHTTPS(t, address+":"+port); got != `{"value":"pong"}` {
			t.Errorf("%s: got %s", address, got)
		}
	}
	v := vms["127.9.1.8"]
	v.kill()
	v.stopMetadata()
	v.start()
	if got := pingHTTPS(t, "127.9.1.8:"+port); got != `{"value":"pong"}` {
		t.Errorf("without metadata: got %s", got)
	}
	if _, err := net.Listen("tcp", "127.9.1.9:"+port); err != nil {
		t.Errorf("an address of neither is taken: %v", err)
	}
}

// freePort finds one that is free on all the addresses.
func freePort(t *testing.T, addresses ...string) string {
	t.Helper()
	const tries = 100
	for range tries {
		first, err := net.Listen("tcp", addresses[0]+":0")
		if err != nil {
			t.Fatal(err)
		}
		_, port, err := net.SplitHostPort(first.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		free := true
		for _, address := range addresses[1:] {
			l, err := net.Listen("tcp", address+":"+port)
			if free = free && err == nil; err == nil {
				l.Close()
			}
		}
		first.Close()
		if free {
			return port
		}
	}
	t.Fatal("no port is free")
	return ""
}

// pingHTTPS asks until somebody listens.
func pingHTTPS(t *testing.T, address string) string {
	t.Helper()
	client := &http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	again := time.NewTicker(10 * time.Millisecond)
	defer again.Stop()
	for limit := time.After(patience); ; {
		resp, err := client.Post("https://vcap:secret-pw@"+address+"/agent", "application/json", bytes.NewReader([]byte(`{"method":"ping","arguments":[],"reply_to":"r"}`)))
		if err == nil {
			defer resp.Body.Close()
			out, err := io.ReadAll(resp.Body)
			if err != nil {
				t.Fatal(err)
			}
			return strings.TrimSpace(string(out))
		}
		select {
		case <-again.C:
		case <-limit:
			t.Fatalf("nobody answers at %s: %v", address, err)
		}
	}
}

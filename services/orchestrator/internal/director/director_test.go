package director_test

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/microbosh/microbosh/services/orchestrator/internal/director"
)

func TestInfoKeepsItsIdentity(t *testing.T) {
	t.Parallel()
	data := filepath.Join(t.TempDir(), "data")
	first, cert := ask(t, data)
	if first["name"] != "micro-dev" || first["version"] != "1.2.3" || first["cpi"] != "openstack" {
		t.Errorf("info = %v", first)
	}
	if user, there := first["user"]; !there || user != nil {
		t.Errorf("user = %v, want null", user)
	}
	second, again := ask(t, data)
	if first["uuid"] != second["uuid"] || first["uuid"] == "" {
		t.Errorf("uuid %v became %v after a restart", first["uuid"], second["uuid"])
	}
	if string(cert) != string(again) {
		t.Error("the certificate changed after a restart")
	}
	entries, err := os.ReadDir(data)
	if err != nil || len(entries) == 0 {
		t.Fatalf("data folder: %v, %v", entries, err)
	}
	for _, e := range entries {
		if info, err := e.Info(); err != nil || info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %v, %v", e.Name(), info.Mode(), err)
		}
	}
}

func ask(t *testing.T, data string) (map[string]any, []byte) {
	t.Helper()
	d, err := director.New(director.Options{
		Spec: director.Spec{Address: "127.0.0.1", Name: "micro-dev"}, Data: data, Version: "1.2.3",
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- d.Run(ctx) }()
	client := &http.Client{Transport: &http.Transport{
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true, //nolint:gosec // as the deployer asks
	}}
	response, err := client.Get("https://" + d.Address() + "/info")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	var info map[string]any
	if err := json.NewDecoder(response.Body).Decode(&info); err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	return info, response.TLS.PeerCertificates[0].Raw
}

func TestReadSpec(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		text string
		want director.Spec
		bad  bool
	}{
		"all":      {`{"properties":{"director":{"address":"127.0.0.9","port":1234,"name":"x"}}}`, director.Spec{Address: "127.0.0.9", Port: 1234, Name: "x"}, false},
		"defaults": {`{}`, director.Spec{Port: 25555, Name: "micro"}, false},
		"cut":      {`{"properties":`, director.Spec{}, true},
		"no port":  {`{"properties":{"director":{"port":70000}}}`, director.Spec{}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "spec.json")
			if err := os.WriteFile(path, []byte(c.text), 0o600); err != nil {
				t.Fatal(err)
			}
			got, err := director.ReadSpec(path)
			if (err != nil) != c.bad || got != c.want {
				t.Errorf("got %+v, %v; want %+v", got, err, c.want)
			}
		})
	}
}

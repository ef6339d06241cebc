package openstack

import (
	"encoding/json"
	"encoding/pem"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/microbosh/microbosh/pkg/messages"
)

// A cloud is only trusted by its certificate, unless the manifest says
// otherwise. The cloud of this test is there and lets nobody in.
func TestTrust(t *testing.T) {
	t.Parallel()
	cloud := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusUnauthorized)
	}))
	cloud.Config.ErrorLog = log.New(io.Discard, "", 0)
	cloud.StartTLS()
	t.Cleanup(cloud.Close)
	authority := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cloud.Certificate().Raw}))
	for _, tc := range []struct {
		name       string
		connection map[string]any
		code       messages.Code
	}{
		{"unknown authority", nil, messages.CodeCloudInvalid},
		{"its authority", map[string]any{"ca_cert": authority}, messages.CodeCloudAuth},
		{"unverified", map[string]any{"ssl_verify_peer": false}, messages.CodeCloudAuth},
		{"no certificate", map[string]any{"ca_cert": "nonsense"}, messages.CodeManifestInvalid},
		{"no file", map[string]any{"ssl_ca_file": "/nowhere/ca.pem"}, messages.CodeManifestInvalid},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			raw, err := json.Marshal(map[string]any{"openstack": map[string]any{
				"auth_url": cloud.URL, "username": "u", "api_key": "marker", "tenant": "t", "connection_options": tc.connection,
			}})
			if err != nil {
				t.Fatal(err)
			}
			_, err = login(t.Context(), raw)
			if messages.CodeOf(err) != tc.code || strings.Contains(err.Error(), "marker") {
				t.Errorf("got %v (%s), want %s", err, messages.CodeOf(err), tc.code)
			}
		})
	}
}

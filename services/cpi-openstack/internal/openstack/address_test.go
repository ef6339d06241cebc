package openstack

import (
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/servers"

	"github.com/microbosh/microbosh/pkg/messages"
)

// Neutron's word counts before Nova has heard of the address.
func TestFloatingOf(t *testing.T) {
	t.Parallel()
	mux := http.NewServeMux()
	answer := func(w http.ResponseWriter, format string, args ...any) {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, format, args...)
	}
	mux.HandleFunc("GET /ports", func(w http.ResponseWriter, r *http.Request) {
		answer(w, `{"ports":[{"id":"p1","device_id":%q},{"id":"p2","device_id":"other"}]}`, r.FormValue("device_id"))
	})
	mux.HandleFunc("GET /floatingips", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, `{"floatingips":[{"floating_ip_address":"203.0.113.1","port_id":"p2"},{"floating_ip_address":"203.0.113.2","port_id":"p1"}]}`)
	})
	server := httptest.NewServer(mux)
	defer server.Close()
	s := &session{network: &gophercloud.ServiceClient{ProviderClient: &gophercloud.ProviderClient{}, Endpoint: server.URL + "/"}}
	got, err := s.floatingOf(t.Context(), "vm-1")
	if err != nil || !slices.Equal(got, []string{"203.0.113.2"}) {
		t.Errorf("got %v, %v", got, err)
	}
}

func TestUntrustedCloudIsNotTriedAgain(t *testing.T) {
	t.Parallel()
	server := httptest.NewUnstartedServer(http.NotFoundHandler())
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	defer server.Close()
	_, err := http.Get(server.URL)
	if code := messages.CodeOf(classify("log in", reads, err)); code != messages.CodeCloudInvalid {
		t.Errorf("code is %s: %v", code, err)
	}
}

func TestPlug(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		properties string
		want       any
	}{
		"a named network":    {`{"net_id":"n1"}`, []servers.Network{{UUID: "n1"}}},
		"the only one there": {`{}`, "auto"}, // Nova wants networks said from version 2.37 on
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			parsed, err := parseNetworks(map[string]messages.Network{"bosh": {Type: "dynamic", CloudProperties: []byte(tc.properties)}})
			if err != nil {
				t.Fatal(err)
			}
			options := servers.CreateOpts{Name: "vm-1", FlavorRef: "f1"}
			v := &vm{session: &session{}, networks: parsed}
			if _, _, err := v.plug(t.Context(), &options); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, options.Networks); diff != "" {
				t.Error(diff)
			}
			if _, err := options.ToServerCreateMap(); err != nil {
				t.Error(err)
			}
		})
	}
}

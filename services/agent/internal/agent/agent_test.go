package agent

import (
	"io"
	"strings"
	"testing"
	"time"

	"github.com/microbosh/microbosh/services/agent/internal/bootstrap"
)

func TestParse(t *testing.T) {
	t.Parallel()
	c, err := Parse(strings.Fields("-c -I openstack -P rootless -b /b --metadata http://127.0.0.1:1 -h 5 -t 1 --no-alerts -s http://u:p@store:1/x"), io.Discard)
	if err != nil || !c.Configure || c.Base != "/b" || c.Metadata != "http://127.0.0.1:1" || c.Heartbeat != 5*time.Second || c.Alerts {
		t.Errorf("got %+v %v", c, err)
	}
	if o := c.Blobstore.Options; o["user"] != "u" || o["password"] != "p" || o["endpoint"] != "http://store:1/x" {
		t.Errorf("got %v", o)
	}
	if c, err = Parse(nil, io.Discard); err != nil || c.Base != "/var/vcap" || c.Heartbeat != 30*time.Second || !c.Alerts || c.Configure {
		t.Errorf("got %+v %v", c, err)
	}
	if c, err = Parse(strings.Fields("-P ubuntu -C /x/agent.json -M monit -b /var/vcap"), io.Discard); err != nil || c.ConfigFile != "/x/agent.json" {
		t.Errorf("got %+v %v", c, err)
	}
	for _, bad := range []string{"-M runit", "-h -1", "word", "--unknown", "-s %zz"} {
		if _, err := Parse(strings.Fields(bad), io.Discard); err == nil {
			t.Errorf("%s was taken", bad)
		}
	}
}

func TestBusOptions(t *testing.T) {
	t.Parallel()
	o, err := busOptions("a-1", bootstrap.Mbus{URLs: []string{"nats://agent:secret@h1:1", "nats://agent:secret@h2:2"}})
	if err != nil || o.URL != "nats://h1:1,nats://h2:2" || o.User != "agent" || o.Password != "secret" || o.TLS != nil {
		t.Errorf("got %+v %v", o, err)
	}
	if o, err = busOptions("a-1", bootstrap.Mbus{URLs: []string{"tls://h:1"}}); err != nil || o.TLS == nil {
		t.Errorf("got %+v %v", o, err)
	}
	for _, url := range []string{"nats://", "http://agent:secret@h", "nats://agent:secret@h h:1"} {
		if _, err := busOptions("a-1", bootstrap.Mbus{URLs: []string{url}}); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: got %v", url, err)
		}
	}
	if _, err := busOptions("a-1", bootstrap.Mbus{URLs: []string{"tls://h:1"}, Cert: bootstrap.Cert{Certificate: "x", PrivateKey: "secret"}}); err == nil || strings.Contains(err.Error(), "secret") {
		t.Errorf("got %v", err)
	}
}

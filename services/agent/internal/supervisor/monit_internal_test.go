package supervisor

import (
	"strings"
	"testing"
)

const statusText = `<?xml version="1.0" encoding="ISO-8859-1"?><monit id="x" incarnation="17" version="5.33.0"><server></server>
<services><service name="web"><type>3</type><status>0</status><monitor>1</monitor><pendingaction>0</pendingaction><pid>7</pid><uptime>9</uptime></service>
<service name="db"><type>3</type><status>512</status><monitor>2</monitor></service><service name="vm"><type>5</type><status>0</status><monitor>1</monitor></service></services>
<servicegroups><servicegroup name="vcap"><service>web</service><service>db</service></servicegroup></servicegroups></monit>`

func TestParseStatus(t *testing.T) {
	t.Parallel()
	s, err := parseStatus(strings.NewReader(statusText))
	if err != nil {
		t.Fatal(err)
	}
	all := s.vcap()
	if s.Incarnation != "17" || len(all) != 2 || all["web"].state() != Running || all["db"].state() != Starting || all["web"].Uptime != 9 {
		t.Errorf("got %+v", s)
	}
	for _, bad := range []string{"", "<monit>", "<html></html>", "<monit/>", `<monit incarnation="1"><services><service name="x"><type>y</type></service></services></monit>`} {
		if _, err := parseStatus(strings.NewReader(bad)); err == nil {
			t.Errorf("%q was read", bad)
		}
	}
}

func FuzzParseStatus(f *testing.F) {
	f.Add(statusText)
	f.Fuzz(func(_ *testing.T, text string) {
		if s, err := parseStatus(strings.NewReader(text)); err == nil {
			_ = s.vcap()
		}
	})
}

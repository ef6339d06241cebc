package openstack

import (
	"testing"
	"time"
)

func TestClockError(t *testing.T) {
	t.Parallel()
	at := time.Unix(1000, 0)
	for name, c := range map[string]struct {
		now  time.Time
		want string
	}{
		"the same":     {at, ""},
		"cut seconds":  {at.Add(-900 * time.Millisecond), ""},
		"far behind":   {at.Add(-time.Minute), "the clocks of the cloud and of the CPI's host are 1m0s apart"},
		"far ahead":    {at.Add(time.Minute), "the clocks of the cloud and of the CPI's host are 50s apart"},
		"a slow reply": {at.Add(12 * time.Second), ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := ""
			if err := clockError(at, at.Add(10*time.Second), c.now); err != nil {
				got = err.Error()
			}
			if got != c.want {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}

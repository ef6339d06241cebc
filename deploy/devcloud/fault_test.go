package devcloud_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/gophercloud/gophercloud/v2/openstack/blockstorage/v3/volumes"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/servers"

	"github.com/microbosh/microbosh/deploy/devcloud"
	"github.com/microbosh/microbosh/deploy/devcloud/cloudtest"
)

// A POST that meets a fault: what the client sees, and what the cloud has then.
func TestFaults(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		fault  devcloud.Fault
		status int // 0: the connection was cut
		made   int
		retry  string
	}{
		"accepted, then dropped": {devcloud.Fault{Mode: devcloud.ModeDrop}, 0, 1, ""},
		"503 but created":        {devcloud.Fault{Mode: devcloud.ModeLate503}, 503, 1, ""},
		"cut before":             {devcloud.Fault{Mode: devcloud.ModeCut}, 0, 0, ""},
		"failed":                 {devcloud.Fault{Mode: devcloud.ModeFail}, 503, 0, ""},
		"conflict":               {devcloud.Fault{Mode: devcloud.ModeFail, Status: 409, Message: "no"}, 409, 0, ""},
		"too many requests":      {devcloud.Fault{Mode: devcloud.ModeFail, Status: 429, RetryAfter: 7}, 429, 0, "7"},
		"over the limit":         {devcloud.Fault{Mode: devcloud.ModeFail, Status: 413}, 413, 0, "1"},
		"twice":                  {devcloud.Fault{Mode: devcloud.ModeDuplicate}, 202, 2, ""},
		"delayed":                {devcloud.Fault{Mode: devcloud.ModeDelay, DelayMS: 1}, 202, 1, ""},
		"another service":        {devcloud.Fault{Mode: devcloud.ModeFail, Service: "compute"}, 202, 1, ""},
		"this service":           {devcloud.Fault{Mode: devcloud.ModeFail, Service: "volume"}, 503, 0, ""},
		"another method":         {devcloud.Fault{Mode: devcloud.ModeFail, Method: "PUT"}, 202, 1, ""},
		"the second only":        {devcloud.Fault{Mode: devcloud.ModeFail, Skip: 1}, 202, 1, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := connect(t, cloudtest.Start(t))
			tc.fault.Path = "/volumes$"
			must(t, c.cloud.SetFaults(tc.fault))
			req, err := http.NewRequestWithContext(c.ctx, http.MethodPost, c.storage.Endpoint+"volumes", strings.NewReader(`{"volume":{"size":1}}`))
			must(t, err)
			req.Header.Set("X-Auth-Token", c.provider.Token())
			resp, err := http.DefaultClient.Do(req)
			status := 0
			if err == nil {
				defer resp.Body.Close()
				status = resp.StatusCode
				if got := resp.Header.Get("Retry-After"); got != tc.retry {
					t.Errorf("Retry-After is %q", got)
				}
			}
			if made := len(c.cloud.Inventory().Volumes); status != tc.status || made != tc.made {
				t.Errorf("status %d, %d volumes", status, made)
			}
		})
	}
}

func TestTruncated(t *testing.T) {
	t.Parallel()
	c := connect(t, cloudtest.Start(t))
	must(t, c.cloud.SetFaults(devcloud.Fault{Mode: devcloud.ModeTruncate, Count: 1}))
	_, body, _ := c.call("GET", c.compute.Endpoint+"flavors", "")
	var v any
	if json.Unmarshal([]byte(body), &v) == nil || body == "" {
		t.Errorf("the answer is whole: %s", body)
	}
	_, body, _ = c.call("GET", c.compute.Endpoint+"flavors", "")
	must(t, json.Unmarshal([]byte(body), &v))
}

func TestHidden(t *testing.T) {
	t.Parallel()
	c := connect(t, cloudtest.Start(t))
	must(t, c.cloud.SetFaults(devcloud.Fault{Mode: devcloud.ModeHide, Method: "POST", Lists: 2}))
	v, err := volumes.Create(c.ctx, c.storage, volumes.CreateOpts{Size: 1}, nil).Extract()
	must(t, err)
	for _, want := range []int{0, 0, 1} {
		page, err := volumes.List(c.storage, nil).AllPages(c.ctx)
		must(t, err)
		found, err := volumes.ExtractVolumes(page)
		must(t, err)
		if len(found) != want {
			t.Errorf("%d volumes are listed, not %d", len(found), want)
		}
	}
	_, err = volumes.Get(c.ctx, c.storage, v.ID).Extract()
	must(t, err)
}

func TestErrorState(t *testing.T) {
	t.Parallel()
	c := connect(t, cloudtest.Start(t))
	image := c.upload("x")
	must(t, c.cloud.SetFaults(devcloud.Fault{Mode: devcloud.ModeError, Path: "/servers$", Message: "the host is on fire"}))
	s, err := servers.Create(c.ctx, c.compute, servers.CreateOpts{Name: "a", ImageRef: image, FlavorRef: "1", Networks: "auto"}, nil).Extract()
	must(t, err)
	if s = c.await(s.ID, "ERROR"); s.Fault.Message != "the host is on fire" {
		t.Errorf("the fault is %q", s.Fault.Message)
	}
	must(t, servers.Delete(c.ctx, c.compute, s.ID).ExtractErr())
	c.gone(s.ID)
}

// A request is held before its effect, or after it, until the test says so.
func TestHeld(t *testing.T) {
	t.Parallel()
	for name, made := range map[devcloud.Mode]int{devcloud.ModeHold: 0, devcloud.ModeHoldAfter: 1} {
		t.Run(string(name), func(t *testing.T) {
			t.Parallel()
			c := connect(t, cloudtest.Start(t))
			status, answer, _ := c.call("PUT", c.cloud.URL()+"/devcloud/faults", `[{"mode":"`+string(name)+`","method":"POST","path":"/volumes$","count":1}]`)
			if status != http.StatusNoContent {
				t.Fatal(status, answer)
			}
			done := make(chan error, 1)
			go func() {
				_, err := volumes.Create(c.ctx, c.storage, volumes.CreateOpts{Size: 1}, nil).Extract()
				done <- err
			}()
			_, held, _ := c.call("GET", c.cloud.URL()+"/devcloud/held?wait=30s", "")
			if !strings.Contains(held, "/volumes") {
				t.Errorf("held: %s", held)
			}
			if n := len(c.cloud.Inventory().Volumes); n != made {
				t.Errorf("%d volumes while it is held", n)
			}
			c.call("POST", c.cloud.URL()+"/devcloud/release", "")
			must(t, <-done)
			_, state, _ := c.call("GET", c.cloud.URL()+"/devcloud/state", "")
			if list, ok := field(t, state, "volumes").([]any); !ok || len(list) != 1 {
				t.Errorf("the state is %s", state)
			}
		})
	}
}

func TestHookCutsTheNth(t *testing.T) {
	t.Parallel()
	var seen atomic.Int64
	c := connect(t, cloudtest.Start(t, func(o *devcloud.Options) {
		o.Hook = func(n int, r *http.Request) bool {
			seen.Store(int64(n))
			return r.Method != http.MethodPost || !strings.HasSuffix(r.URL.Path, "/volumes")
		}
	}))
	if _, err := volumes.Create(c.ctx, c.storage, volumes.CreateOpts{Size: 1}, nil).Extract(); err == nil {
		t.Error("the request was answered")
	}
	if n := len(c.cloud.Inventory().Volumes); n != 0 || seen.Load() == 0 {
		t.Errorf("%d volumes after %d calls", n, seen.Load())
	}
	calls := c.cloud.Calls()
	if last := calls[len(calls)-1]; last.Method != "POST" || last.Status != 0 {
		t.Errorf("the last call is %+v", last)
	}
}

func TestBadFaults(t *testing.T) {
	t.Parallel()
	c := connect(t, cloudtest.Start(t))
	for _, body := range []string{`[{"mode":"explode"}]`, `[{"mode":"fail","path":"("}]`, `[{"mode":"fail","status":200}]`, `[{"mod":"fail"}]`, `[{"mode":"fail","service":"v3"}]`, `[{"mode":"fail","skip":-1}]`, `{`} {
		if status, _, _ := c.call("PUT", c.cloud.URL()+"/devcloud/faults", body); status != http.StatusBadRequest {
			t.Errorf("%s: %d", body, status)
		}
	}
}

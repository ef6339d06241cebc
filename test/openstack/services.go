package main

import (
	"context"
	"fmt"
	"net/http"
	"time"
)

const region = "RegionOne"

// wsgi serves a Python application. Connections are not kept: uwsgi's small
// server drops kept ones now and then, which Nova takes for a failure.
func (s *stack) wsgi(name string, port int, application, env string) error {
	return s.daemon(name, []string{env}, "uwsgi", "--plugin", "python3", "--http-socket", fmt.Sprintf("127.0.0.1:%d", port),
		"--wsgi-file", application, "--master", "--processes", "1", "--threads", "4", "--lazy-apps", "--need-app", "--die-on-term",
		"--buffer-size", "65535", "--add-header", "Connection: close", "--disable-logging")
}

// services starts what is needed, and waits for each until it answers.
func (s *stack) services(ctx context.Context) error {
	etc := func(name string) string { return s.path("etc", name+".conf") }
	if err := s.wsgi("keystone", s.Keystone, "/usr/bin/keystone-wsgi-public", "OS_KEYSTONE_CONFIG_FILES="+etc("keystone")); err != nil {
		return err
	}
	if err := s.wsgi("placement", s.Placement, "/usr/bin/placement-api", "OS_PLACEMENT_CONFIG_DIR="+s.path("etc")); err != nil {
		return err
	}
	if err := s.daemon("glance-api", nil, "glance-api", "--config-file", etc("glance")); err != nil {
		return err
	}
	if err := s.until(ctx, "rabbitmq", listening(s.Rabbit)); err != nil {
		return err
	}
	// Services read the catalog when they start.
	if err := s.until(ctx, "keystone", answering(s.URL(s.Keystone)+"/v3")); err != nil {
		return err
	}
	if err := s.fillIdentity(ctx); err != nil {
		return err
	}
	for _, d := range []struct{ name, config string }{
		{"neutron-server", "neutron"}, {"nova-conductor", "nova"}, {"nova-api", "nova"}, {"cinder-volume", "cinder"}, {"nova-scheduler", "nova"},
		{"cinder-api", "cinder"}, {"cinder-scheduler", "cinder"},
	} {
		if err := s.daemon(d.name, nil, d.name, "--config-file", etc(d.config)); err != nil {
			return err
		}
	}
	if err := s.hypervisor(ctx); err != nil {
		return err
	}
	if err := s.daemon("nova-compute", nil, "nova-compute", "--config-file", etc("nova")); err != nil {
		return err
	}
	for _, d := range []struct {
		name string
		url  string
	}{
		{"placement", s.URL(s.Placement) + "/"}, {"glance-api", s.URL(s.Glance) + "/"}, {"neutron-server", s.URL(s.Neutron) + "/"},
		{"cinder-api", s.URL(s.Cinder) + "/"}, {"nova-api", s.URL(s.Nova) + "/"}, {"nova-api", s.URL(s.Metadata) + "/"},
	} {
		if err := s.until(ctx, d.name, answering(d.url)); err != nil {
			return err
		}
	}
	return nil
}

// answering tells whether a server answers anything at all.
func answering(url string) func(context.Context) error {
	return func(ctx context.Context) error {
		limited, cancel := context.WithTimeout(ctx, 10*time.Second)
		defer cancel()
		req, err := http.NewRequestWithContext(limited, http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		if resp.StatusCode >= http.StatusInternalServerError {
			return fmt.Errorf("%s answers %s", url, resp.Status)
		}
		return nil
	}
}

// settle waits until each worker told since its start that it works, and until
// the hypervisor can take servers.
func (s *stack) settle(ctx context.Context) error {
	admin, err := s.signIn(ctx, "admin", "admin")
	if err != nil {
		return err
	}
	for _, w := range []struct{ name, base string }{
		{"nova-conductor", s.compute()}, {"nova-scheduler", s.compute()}, {"nova-compute", s.compute()},
		{"cinder-volume", s.volume(admin.project)}, {"cinder-scheduler", s.volume(admin.project)},
	} {
		began := s.process(w.name).Began
		if err := s.until(ctx, w.name, func(ctx context.Context) error { return admin.reported(ctx, w.base, w.name, began) }); err != nil {
			return err
		}
	}
	if err := s.settleAgents(ctx, admin); err != nil {
		return err
	}
	return s.until(ctx, "nova-compute", func(ctx context.Context) error {
		var have struct {
			Hypervisors []struct {
				State string `json:"state"`
			} `json:"hypervisors"`
		}
		if err := admin.get(ctx, s.compute()+"/os-hypervisors", &have); err != nil {
			return err
		}
		if len(have.Hypervisors) == 0 || have.Hypervisors[0].State != "up" {
			return fmt.Errorf("Nova knows no hypervisor yet")
		}
		var providers struct {
			List []struct {
				Generation int `json:"generation"`
			} `json:"resource_providers"`
		}
		if err := admin.get(ctx, s.URL(s.Placement)+"/resource_providers", &providers); err != nil {
			return err
		}
		if len(providers.List) == 0 || providers.List[0].Generation == 0 {
			return fmt.Errorf("Placement knows no hypervisor yet")
		}
		return nil
	})
}

// reported tells whether a worker's own report is younger than its start.
func (a *account) reported(ctx context.Context, base, binary string, since time.Time) error {
	var have struct {
		Services []struct {
			Binary  string `json:"binary"`
			State   string `json:"state"`
			Updated string `json:"updated_at"`
		} `json:"services"`
	}
	if err := a.get(ctx, base+"/os-services", &have); err != nil {
		return err
	}
	for _, w := range have.Services {
		at, err := time.Parse("2006-01-02T15:04:05.000000", w.Updated)
		if w.Binary == binary && w.State == "up" && err == nil && at.After(since) {
			return nil
		}
	}
	return fmt.Errorf("%s did not report yet", binary)
}

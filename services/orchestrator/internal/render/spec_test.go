package render_test

import (
	"encoding/json"
	"reflect"
	"testing"

	"github.com/microbosh/microbosh/pkg/messages"
	"github.com/microbosh/microbosh/services/orchestrator/internal/render"
)

type m = map[string]any

// What a spec becomes is the original's (micro BOSH of 2014, InstanceManager's
// apply and its OpenStack part).
func TestSpec(t *testing.T) {
	t.Parallel()
	const ip, serviceIP = "192.0.2.7", "10.0.0.7"
	agent := m{"blobstore": m{"address": ip}, "nats": m{"address": ip}} // always there
	for _, tc := range []struct {
		name string
		spec string
		in   render.Input
		want m // properties
	}{
		{"nothing but addresses for the agent", `{}`, render.Input{}, m{"agent": agent}},
		{"the name makes a director", `{}`, render.Input{Name: "micro"}, m{"agent": agent, "director": m{"name": "micro", "address": serviceIP}}},
		{
			"services that the spec has, by the address that they have for each other",
			`{"properties":{"director":{"port":1},"redis":{},"blobstore":{},"nats":{"user":"u"},"registry":{},"dns":{},"postgres":{}}}`, render.Input{},
			m{
				"agent": agent, "director": m{"port": 1.0, "address": serviceIP}, "redis": m{"address": serviceIP}, "blobstore": m{"address": serviceIP},
				"nats": m{"user": "u", "address": serviceIP}, "registry": m{"address": serviceIP}, "dns": m{"address": serviceIP}, "postgres": m{},
			},
		},
		{
			"the manifest's word is the last, where the original listens to it",
			`{"properties":{"nats":{"port":1},"ntp":["a"],"compiled_package_cache":{"x":1},"postgres":{"a":1},"agent":{"nats":{"port":2}}}}`,
			render.Input{ApplySpec: m{
				"agent": m{"nats": m{"address": "nats.example", "password": "p"}},
				"properties": m{
					"nats": m{"address": "nats.inside"}, "redis": m{"password": "no section, no redis"}, "hm": m{"mail": true}, "director": m{"ssl": m{"key": "k"}},
					"ntp": []any{"b"}, "compiled_package_cache": m{"y": 2.0}, "postgres": m{"b": 2.0},
				},
			}},
			m{
				"agent": m{"blobstore": m{"address": ip}, "nats": m{"port": 2.0, "address": "nats.example", "password": "p"}},
				"nats":  m{"port": 1.0, "address": "nats.inside"}, "hm": m{"mail": true}, "director": m{"ssl": m{"key": "k"}},
				"ntp": []any{"b"}, "compiled_package_cache": m{"y": 2.0}, "postgres": m{"a": 1.0},
			},
		},
		{
			"the cloud's properties, with registry and stemcell beside them",
			`{"properties":{"openstack":{"old":1}}}`,
			render.Input{Plugin: "openstack", Properties: m{
				"openstack": m{"auth_url": "u"}, "registry": m{"endpoint": "e"}, "stemcell": nil,
			}},
			m{"agent": agent, "openstack": m{"auth_url": "u", "registry": m{"endpoint": "e"}, "stemcell": nil}},
		},
		{
			"the cloud's properties for the VM, when the manifest has others for it",
			`{}`,
			render.Input{
				Plugin: "openstack", Properties: m{"openstack": m{"auth_url": "outside"}, "registry": m{"endpoint": "e"}},
				ApplySpec: m{"properties": m{"openstack": m{"auth_url": "inside"}}},
			},
			m{"agent": agent, "openstack": m{"auth_url": "inside", "registry": m{"endpoint": "e"}, "stemcell": nil}},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			in := tc.in
			in.Spec, in.IP, in.ServiceIP = json.RawMessage(tc.spec), ip, serviceIP
			own, _ := json.Marshal(in.Properties)
			got, err := render.Spec(in)
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(got["properties"], tc.want) {
				t.Errorf("properties are\n%v, want\n%v", got["properties"], tc.want)
			}
			if after, _ := json.Marshal(in.Properties); string(after) != string(own) {
				t.Errorf("the manifest's own properties became %s", after)
			}
		})
	}
}

func TestSpecLeavesTheRest(t *testing.T) {
	t.Parallel()
	got, err := render.Spec(render.Input{Spec: json.RawMessage(`{"deployment":"micro","networks":{"type":"dynamic"},"job":{"name":"micro"}}`)})
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := got["networks"]; ok || got["deployment"] != "micro" || !reflect.DeepEqual(got["job"], m{"name": "micro"}) {
		t.Errorf("the spec is %v", got)
	}
	for name, spec := range map[string]string{
		"no map": `[]`, "nothing": `null`, "properties that are a list": `{"properties":[]}`,
		"an agent that is a word": `{"properties":{"agent":"x"}}`, "a director that is a number": `{"properties":{"director":1}}`,
	} {
		if _, err := render.Spec(render.Input{Spec: json.RawMessage(spec), Name: "n"}); messages.CodeOf(err) != messages.CodeStemcellInvalid {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestDirectorPort(t *testing.T) {
	t.Parallel()
	for spec, want := range map[string]int{
		`{}`: 25555, `{"properties":{"director":{"port":8443}}}`: 8443, `{"properties":{"director":{"port":0}}}`: 25555, `{"properties":{"director":{"port":"x"}}}`: 25555,
	} {
		var s m
		if err := json.Unmarshal([]byte(spec), &s); err != nil {
			t.Fatal(err)
		}
		if got := render.DirectorPort(s); got != want {
			t.Errorf("%s: %d, want %d", spec, got, want)
		}
	}
}

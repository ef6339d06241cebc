package render

import (
	"encoding/json"
	"fmt"
	"maps"

	"github.com/microbosh/microbosh/pkg/messages"
)

// Input is what a spec is made from.
type Input struct {
	Spec       json.RawMessage // the stemcell's apply_spec.yml as JSON
	Name       string          // the manifest's name
	Plugin     string          // the manifest's cloud.plugin
	Properties map[string]any  // the manifest's cloud.properties
	ApplySpec  map[string]any  // the manifest's apply_spec
	IP         string          // where clients reach the VM: the floating IP if there is one
	ServiceIP  string          // where its own jobs reach it
}

// The services whose address is set, when the spec has their section.
var (
	agentServices = [...]string{"blobstore", "nats"}
	services      = [...]string{"director", "redis", "blobstore", "nats", "registry", "dns"}
	replaced      = [...]string{"ntp", "compiled_package_cache"}
)

// Spec massages the spec in the order of the original: first the IaaS section,
// then names and addresses, then the manifest's overrides.
func Spec(in Input) (map[string]any, error) {
	var spec map[string]any
	if err := json.Unmarshal(in.Spec, &spec); err != nil || spec == nil {
		return nil, messages.Errorf(messages.CodeStemcellInvalid, "the stemcell's apply spec is no map").
			WithHint("a micro BOSH stemcell holds apply_spec.yml; build or download one that does")
	}
	properties, err := section(spec, "properties")
	if err != nil {
		return nil, err
	}
	overrides := asMap(in.ApplySpec["properties"])

	iaas := asMap(overrides[in.Plugin])
	if iaas == nil {
		iaas = maps.Clone(asMap(in.Properties[in.Plugin]))
	}
	if iaas != nil {
		iaas["registry"], iaas["stemcell"] = in.Properties["registry"], in.Properties["stemcell"]
		properties[in.Plugin] = iaas
	}
	delete(spec, "networks")

	if in.Name != "" {
		director, err := section(properties, "director")
		if err != nil {
			return nil, err
		}
		director["name"] = in.Name
	}
	agent, err := section(properties, "agent")
	if err != nil {
		return nil, err
	}
	agentOverrides := asMap(in.ApplySpec["agent"])
	for _, service := range agentServices {
		svc, err := section(agent, service)
		if err != nil {
			return nil, err
		}
		svc["address"] = in.IP
		maps.Copy(svc, asMap(agentOverrides[service]))
	}
	for _, service := range services {
		svc := asMap(properties[service])
		if svc == nil {
			continue
		}
		svc["address"] = in.ServiceIP
		maps.Copy(svc, asMap(overrides[service]))
	}
	for _, key := range [...]string{"hm", "director"} {
		if extra := asMap(overrides[key]); extra != nil {
			svc, err := section(properties, key)
			if err != nil {
				return nil, err
			}
			maps.Copy(svc, extra)
		}
	}
	for _, key := range replaced {
		if v, ok := overrides[key]; ok {
			properties[key] = v
		}
	}
	return spec, nil
}

// DirectorPort is properties.director.port, 25555 when the spec has none.
func DirectorPort(spec map[string]any) int {
	director := asMap(asMap(spec["properties"])["director"])
	if port, ok := director["port"].(float64); ok && port > 0 && port < 65536 {
		return int(port)
	}
	return 25555
}

// section gives the map at key, made when it is missing.
func section(m map[string]any, key string) (map[string]any, error) {
	v, ok := m[key]
	if !ok || v == nil {
		out := map[string]any{}
		m[key] = out
		return out, nil
	}
	out, ok := v.(map[string]any)
	if !ok {
		return nil, messages.Errorf(messages.CodeStemcellInvalid, "the apply spec's %s is %s, not a map", key, fmt.Sprintf("%T", v))
	}
	return out, nil
}

func asMap(v any) map[string]any {
	m, _ := v.(map[string]any)
	return m
}

package messages_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/microbosh/microbosh/pkg/messages"
)

// bodies are the types that Channels names.
func bodies() map[string]reflect.Type {
	out := map[string]reflect.Type{"Envelope": reflect.TypeFor[messages.Envelope]()}
	for _, v := range []any{
		messages.Command{}, messages.RunClaimed{}, messages.StepIntended{}, messages.StepCommand{}, messages.Result{},
		messages.Progress{}, messages.StepDone{}, messages.StepFailed{}, messages.Exchange{}, messages.CancelRequested{},
		messages.RunDone{}, messages.Snapshot{}, messages.RunClosed{}, messages.Unwanted{}, messages.DeploymentRequest{}, messages.CancelRequest{},
		messages.AgentCall{}, messages.SettingsPut{}, messages.SettingsGet{}, messages.SettingsDelete{}, messages.IdentityCreate{},
		messages.IdentityRevoke{}, messages.CallRequest{}, messages.AgentRequest{}, messages.AgentReply{}, messages.Heartbeat{}, messages.Alert{},
	} {
		out[reflect.TypeOf(v).Name()] = reflect.TypeOf(v)
	}
	return out
}

type object = map[string]any

// asyncAPI is an AsyncAPI 3.0 document of what is said on the bus.
func asyncAPI(t *testing.T) string {
	t.Helper()
	known := bodies()
	schemas, channels, operations, said := object{}, object{}, object{}, object{}
	token := regexp.MustCompile(`<([^>]+)>`)
	for _, c := range messages.Channels() {
		name := strings.Trim(regexp.MustCompile(`[^A-Za-z0-9]+`).ReplaceAllString(strings.TrimPrefix(c.Subject, messages.Root+"."), "_"), "_")
		body := object{"summary": c.About, "payload": object{}}
		if c.Body != "" {
			typ, ok := known[c.Body]
			if !ok {
				t.Fatalf("%s carries a %s, which is no known type", c.Subject, c.Body)
			}
			schemas[c.Body] = schemaOf(typ, schemas)
			body["payload"] = object{"$ref": "#/components/schemas/" + c.Body}
		}
		if strings.HasPrefix(c.Kind, "JetStream") { // wrapped
			body["payload"] = object{"allOf": []any{
				object{"$ref": "#/components/schemas/Envelope"},
				object{"type": "object", "properties": object{"data": body["payload"]}},
			}}
		}
		said[name] = body
		channel := object{
			"address": token.ReplaceAllStringFunc(c.Subject, func(s string) string { return "{" + camel(s) + "}" }),
			"summary": c.Kind, "messages": object{name: object{"$ref": "#/components/messages/" + name}},
		}
		parameters := object{}
		for _, m := range token.FindAllString(c.Subject, -1) {
			parameters[camel(m)] = object{"description": "one token of the subject: the " + strings.Trim(m, "<>")}
		}
		if len(parameters) > 0 {
			channel["parameters"] = parameters
		}
		channels[name] = channel
		operations[name] = object{"action": "send", "channel": object{"$ref": "#/channels/" + name}, "summary": "by the role " + c.Writer}
	}
	schemas["Envelope"] = schemaOf(known["Envelope"], schemas)
	var b strings.Builder
	b.WriteString("# Generated from pkg/messages (make generate); do not edit.\n")
	yaml(&b, object{
		"asyncapi": "3.0.0", "defaultContentType": "application/json",
		"info":     object{"title": "microbosh on NATS", "version": "1.0.0", "description": "The bodies on bosh.v1 are wrapped in the Envelope, but for micro requests. The subjects are in subjects.md."},
		"servers":  object{"bus": object{"host": "localhost:4222", "protocol": "nats"}},
		"channels": channels, "operations": operations, "components": object{"messages": said, "schemas": schemas},
	}, 0)
	return b.String()
}

// camel makes a parameter's name of a token such as <step id>.
func camel(token string) string {
	words := strings.Fields(strings.Trim(token, "<>"))
	for i, w := range words[1:] {
		words[i+1] = strings.ToUpper(w[:1]) + w[1:]
	}
	return strings.Join(words, "")
}

func schemaOf(t reflect.Type, named object) any {
	switch t {
	case reflect.TypeFor[time.Time]():
		return object{"type": "string", "format": "date-time"}
	case reflect.TypeFor[json.RawMessage]():
		return object{}
	}
	switch t.Kind() {
	case reflect.Pointer:
		return schemaOf(t.Elem(), named)
	case reflect.Struct:
		return structOf(t, named)
	case reflect.Slice, reflect.Array:
		if t.Elem().Kind() == reflect.Uint8 {
			return object{"type": "string", "contentEncoding": "base64"}
		}
		return object{"type": "array", "items": refTo(t.Elem(), named)}
	case reflect.Map:
		return object{"type": "object", "additionalProperties": refTo(t.Elem(), named)}
	case reflect.String:
		return object{"type": "string"}
	case reflect.Bool:
		return object{"type": "boolean"}
	case reflect.Float32, reflect.Float64:
		return object{"type": "number"}
	case reflect.Interface:
		return object{}
	default:
		return object{"type": "integer"}
	}
}

func structOf(t reflect.Type, named object) any {
	properties, required := object{}, []any{}
	for i := range t.NumField() {
		f := t.Field(i)
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		if !f.IsExported() || name == "-" {
			continue
		}
		if name == "" {
			name = f.Name
		}
		properties[name] = refTo(f.Type, named)
		if !strings.Contains(options, "omit") {
			required = append(required, name)
		}
	}
	out := object{"type": "object", "properties": properties}
	if len(required) > 0 {
		out["required"] = required
	}
	return out
}

// refTo names a struct of the package once.
func refTo(t reflect.Type, named object) any {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct || t.Name() == "" || t == reflect.TypeFor[time.Time]() {
		return schemaOf(t, named)
	}
	if _, ok := named[t.Name()]; !ok {
		named[t.Name()] = object{} // it may hold itself
		named[t.Name()] = schemaOf(t, named)
	}
	return object{"$ref": "#/components/schemas/" + t.Name()}
}

// yaml writes a tree with its keys sorted; texts are quoted as JSON, which YAML
// reads.
func yaml(b *strings.Builder, v any, depth int) {
	pad := strings.Repeat("  ", depth)
	switch v := v.(type) {
	case object:
		for _, key := range slices.Sorted(maps.Keys(v)) {
			fmt.Fprintf(b, "%s%s:", pad, quoted(key))
			below(b, v[key], depth)
		}
	case []any:
		for _, item := range v {
			b.WriteString(pad + "-")
			below(b, item, depth)
		}
	}
}

func below(b *strings.Builder, v any, depth int) {
	switch v := v.(type) {
	case object:
		if len(v) == 0 {
			b.WriteString(" {}\n")
			return
		}
	case []any:
		if len(v) == 0 {
			b.WriteString(" []\n")
			return
		}
	default:
		fmt.Fprintf(b, " %s\n", quoted(fmt.Sprint(v)))
		return
	}
	b.WriteString("\n")
	yaml(b, v, depth+1)
}

func quoted(s string) string {
	if regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`).MatchString(s) && s != "true" && s != "false" && s != "null" && s != "yes" && s != "no" {
		return s
	}
	text, _ := json.Marshal(s) // a string is always encoded
	return string(text)
}

func TestAsyncAPI(t *testing.T) {
	t.Parallel()
	path := filepath.Join("..", "..", "docs", "asyncapi.yaml")
	page := asyncAPI(t)
	if *update {
		if err := os.WriteFile(path, []byte(page), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	have, err := os.ReadFile(path)
	if err != nil || string(have) != page {
		t.Errorf("docs/asyncapi.yaml is not what the code says (%v): run `make generate`", err)
	}
}

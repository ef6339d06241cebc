package erb_test

import (
	"errors"
	"os/exec"
	"strings"
	"testing"

	"github.com/microbosh/microbosh/pkg/erb"
)

const spec = `{"job":{"name":"micro"},"index":3,"networks":{"a":{"ip":"10.0.0.1"}},
"properties":{"db":{"user":"admin","password":"hunter2secret","ports":[1,2]},"off":false}}`

func needRuby(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("ruby"); err != nil {
		t.Skip("ruby is not installed: `make deps-root` installs Debian's")
	}
}

func TestRender(t *testing.T) {
	t.Parallel()
	needRuby(t)
	cases := map[string][2]string{
		"plain":    {"no tags <%", "no tags <%"},
		"property": {"<%= p('db.user') %>:<%= properties.db.password %>", "admin:hunter2secret"},
		"default":  {"<%= p('none', 7) %><%= p(%w(none db.user)) %><%= p('off') %>", "7adminfalse"},
		"if_p":     {"<% if_p('db.user', 'db.ports') do |u, l| %><%= u %><%= l.sum %><% end.else do %>no<% end %>", "admin3"},
		"else":     {"<% if_p('none') do |u| %>yes<% end.else_if_p('db.user') do |u| %><%= u %><% end %>", "admin"},
		"spec":     {"<%= name %>/<%= index %>/<%= spec.networks.a.ip %>/<%= spec.job.name %>", "micro/3/10.0.0.1/micro"},
		"trim":     {"a\n<% if true -%>\nb\n<% end -%>\nc", "a\nb\nc"},
		"nothing":  {"<%= properties.none.nil? %>", "true"},
		"prints":   {"<% puts 'noise' %>x", "x"},
	}
	for name, c := range cases {
		files := []erb.File{{Name: name, Text: []byte(c[0])}}
		if err := erb.Render(t.Context(), []byte(spec), files); err != nil || string(files[0].Text) != c[1] {
			t.Errorf("%s: got %q %v, want %q", name, files[0].Text, err, c[1])
		}
	}
}

func TestFailures(t *testing.T) {
	t.Parallel()
	needRuby(t)
	for text, want := range map[string]string{
		"a\n<%= p('none') %>":                      "'x.erb': line 2, error: Can't find property 'none'",
		"<%= raise 'it is ' + p('db.password') %>": "it is ...",
		"<%= (((( %>":                              "failed to process configuration template 'x.erb'",
		"<%= exit! 1 %>":                           "ruby",
	} {
		err := erb.Render(t.Context(), []byte(spec), []erb.File{{Name: "x.erb", Text: []byte(text)}})
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q: got %v, want %q", text, err, want)
		}
	}
}

func TestWithoutRuby(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	if err := erb.Render(t.Context(), []byte(spec), []erb.File{{Name: "x", Text: []byte("plain")}}); err != nil {
		t.Error(err)
	}
	if err := erb.Render(t.Context(), []byte(spec), []erb.File{{Name: "x", Text: []byte("<%= 1 %>")}}); !errors.Is(err, erb.ErrNoRuby) {
		t.Error(err)
	}
}

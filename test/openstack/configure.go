package main

import (
	"context"
	"embed"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"text/template"
)

//go:embed etc py
var files embed.FS

// shared is what most services say in the same words.
const shared = `
{{define "account" -}}
[{{.}}]
{{login}}
{{- end}}
{{define "keystone" -}}
[keystone_authtoken]
{{login}}
www_authenticate_uri = {{.URL .Keystone}}/v3
service_token_roles_required = true
{{- end}}
{{define "locks" -}}
[oslo_concurrency]
lock_path = {{.Dir}}/run/locks
{{- end}}
`

// login is how services log in at Keystone.
func (s *stack) login() string {
	return strings.Join([]string{
		"auth_type = password", "auth_url = " + s.URL(s.Keystone) + "/v3", "username = service", "password = " + s.Password,
		"project_name = service", "user_domain_name = Default", "project_domain_name = Default", "region_name = " + region,
	}, "\n")
}

// configure writes etc/ and the drivers anew.
func (s *stack) configure(context.Context) error {
	base, err := template.New("").Funcs(template.FuncMap{
		"login": s.login, "list": func(list ...string) []string { return list },
	}).Parse(shared)
	if err != nil {
		return fmt.Errorf("cannot write the configuration: %w", err)
	}
	err = fs.WalkDir(files, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := fs.ReadFile(files, name)
		if err != nil {
			return err
		}
		target := s.path(filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(target), 0o700); err != nil {
			return err
		}
		if strings.HasPrefix(name, "etc/") {
			page, err := base.Clone()
			if err == nil {
				page, err = page.New(name).Parse(string(text))
			}
			if err != nil {
				return err
			}
			var b strings.Builder
			if err := page.Execute(&b, s); err != nil {
				return err
			}
			text = []byte(b.String())
		}
		return os.WriteFile(target, text, 0o600)
	})
	if err != nil {
		return fmt.Errorf("cannot write the configuration: %w", err)
	}
	return nil
}

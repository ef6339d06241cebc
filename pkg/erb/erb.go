package erb

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"time"
)

// File is a template: the name it is called by in errors and its text. Render
// puts what it renders to into Text.
type File struct {
	Name string
	Text []byte
}

// ErrNoRuby is what Render says when there is no ruby.
var ErrNoRuby = errors.New("ruby is not installed")

//go:embed context.rb
var program string

// What rendering may take and give.
const (
	limit     = time.Minute
	maxOutput = 64 << 20
)

// Has tells whether a text has ERB tags.
func Has(text []byte) bool {
	_, after, ok := bytes.Cut(text, []byte("<%"))
	return ok && bytes.Contains(after, []byte("%>"))
}

// Render renders the files that have tags, for an apply spec.
func Render(ctx context.Context, spec json.RawMessage, files []File) error {
	type file struct {
		Text string `json:"text"`
	}
	var input struct {
		Spec  json.RawMessage `json:"spec"`
		Files []file          `json:"files"`
	}
	input.Spec = spec
	var at []int
	for i, f := range files {
		if Has(f.Text) {
			at = append(at, i)
			input.Files = append(input.Files, file{string(f.Text)})
		}
	}
	if len(at) == 0 {
		return nil
	}
	path, err := exec.LookPath("ruby")
	if err != nil {
		return fmt.Errorf("failed to process configuration template '%s': %w", files[at[0]].Name, ErrNoRuby)
	}
	stdin, err := json.Marshal(input)
	if err != nil {
		return fmt.Errorf("cannot encode the templates: %w", err)
	}
	answer, err := run(ctx, path, stdin)
	if err != nil {
		return err
	}
	var output struct {
		Files []struct {
			Text  string `json:"text"`
			Line  string `json:"line"`
			Error string `json:"error"`
		} `json:"files"`
	}
	if err := json.Unmarshal(answer, &output); err != nil || len(output.Files) != len(at) {
		return errors.New("cannot read what ruby rendered")
	}
	for i, f := range output.Files {
		if f.Line != "" {
			return fmt.Errorf("failed to process configuration template '%s': line %s, error: %s", files[at[i]].Name, f.Line, f.Error)
		}
		files[at[i]].Text = []byte(f.Text)
	}
	return nil
}

func run(ctx context.Context, path string, stdin []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("cannot render the templates: ruby has not ended after %s", limit))
	defer cancel()
	cmd := exec.CommandContext(ctx, path, "--disable-gems", "-e", program)
	cmd.Env = []string{"PATH=/usr/local/bin:/usr/bin:/bin", "LANG=C.UTF-8", "HOME=/"}
	cmd.Stdin = bytes.NewReader(stdin)
	cmd.WaitDelay = time.Second
	var out bounded
	cmd.Stdout = &out
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return nil, fmt.Errorf("cannot render the templates: ruby: %w", err) // its words may hold properties
	}
	return out.Bytes(), nil
}

// bounded refuses more than maxOutput bytes.
type bounded struct{ bytes.Buffer }

func (b *bounded) Write(p []byte) (int, error) {
	if b.Len()+len(p) > maxOutput {
		return 0, fmt.Errorf("more than %d bytes", maxOutput)
	}
	return b.Buffer.Write(p)
}

package messages_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/microbosh/microbosh/pkg/messages"
)

func subjectsPage() string {
	var b strings.Builder
	b.WriteString("# Subjects\n\nGenerated from `pkg/messages` (`make generate`). Bodies are types of that package; on `bosh.v1.>` all but micro\n" +
		"requests are wrapped in its `Envelope`.\n\n| subject | kind | who writes | body | what |\n|---|---|---|---|---|\n")
	for _, c := range messages.Channels() {
		body := "BOSH's"
		if c.Body != "" {
			body = "`" + c.Body + "`"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s |\n", c.Subject, c.Kind, c.Writer, body, c.About)
	}
	b.WriteString("\n## Streams\n\n| stream | subjects | keeps | what |\n|---|---|---|---|\n")
	for _, s := range messages.Streams() {
		keeps := "all"
		switch {
		case s.WorkQueue:
			keeps = "until acknowledged"
		case s.PerSubject > 0:
			keeps = fmt.Sprintf("the last %d per subject", s.PerSubject)
		case s.MaxAge > 0:
			keeps = fmt.Sprintf("for %d hours", int(s.MaxAge.Hours()))
		}
		if s.Most > 0 {
			keeps += fmt.Sprintf(", %d messages", s.Most)
		}
		fmt.Fprintf(&b, "| `%s` | `%s` | %s | %s |\n", s.Name, strings.Join(s.Subjects, "`, `"), keeps, s.Description)
	}
	b.WriteString("\n## Who may what\n\n")
	for _, p := range messages.Permissions() {
		fmt.Fprintf(&b, "### %s\n\n- publishes `%s`\n- subscribes `%s`\n", p.Role, strings.Join(p.Publish, "`, `"), strings.Join(p.Subscribe, "`, `"))
		if p.Respond {
			b.WriteString("- answers whoever asked it\n")
		}
		b.WriteString("\n")
	}
	return strings.TrimRight(b.String(), "\n") + "\n"
}

func TestSubjectsPage(t *testing.T) {
	t.Parallel()
	path := filepath.Join("..", "..", "docs", "subjects.md")
	page := subjectsPage()
	if *update {
		if err := os.WriteFile(path, []byte(page), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	have, err := os.ReadFile(path)
	if err != nil || string(have) != page {
		t.Errorf("docs/subjects.md is not what the code says (%v): run `make generate`", err)
	}
}

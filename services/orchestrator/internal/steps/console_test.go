package steps

import (
	"strings"
	"testing"
)

func TestLastLines(t *testing.T) {
	t.Parallel()
	output := "first\n" + strings.Repeat("line\n", 20) + "\x1b[31mred\x07\n\npassword is hunter2\n" + strings.Repeat("x", 500) + "\n"
	got := lastLines(output, []string{"hunter2"})
	lines := strings.Split(got, "\n")
	if len(lines) != consoleLines || strings.Contains(got, "hunter2") || strings.Contains(got, "\x1b") || strings.Contains(got, "first") ||
		lines[8] != "  password is ..." || len(lines[9]) != consoleWidth+5 {
		t.Errorf("got %q", lines)
	}
	if lastLines("", nil) != "" {
		t.Error("nothing is something")
	}
}

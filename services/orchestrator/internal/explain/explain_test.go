package explain_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"strconv"
	"strings"
	"testing"

	"github.com/microbosh/microbosh/docs"
	"github.com/microbosh/microbosh/pkg/messages"
	"github.com/microbosh/microbosh/services/orchestrator/internal/explain"
)

// codes are those of the source: none can be forgotten in a list.
func codes(t *testing.T) []messages.Code {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "../../../../pkg/messages/code.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var out []messages.Code
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		if kind, ok := spec.Type.(*ast.Ident); !ok || kind.Name != "Code" {
			return true
		}
		for _, v := range spec.Values {
			code, err := strconv.Unquote(v.(*ast.BasicLit).Value)
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, messages.Code(code))
		}
		return true
	})
	return out
}

// Every code has a page that tells what happened, why and what to do, and no
// page is about anything else.
func TestEveryCodeHasAPage(t *testing.T) {
	t.Parallel()
	all := codes(t)
	if len(all) < 40 {
		t.Fatalf("only %d codes found in the source", len(all))
	}
	for _, code := range all {
		p, ok := explain.Find(code)
		if !ok {
			t.Errorf("docs/errors.md has no section %s", code)
			continue
		}
		for part, text := range map[string]string{"What happened": p.What, "Why": p.Why, "What to do": p.Do} {
			if !strings.HasSuffix(text, ".") {
				t.Errorf("%s: %s is %q", code, part, text)
			}
		}
	}
	if pages := explain.Pages(); len(pages) != len(all) || len(pages) != strings.Count(docs.Errors, "\n## ") {
		t.Errorf("%d pages for %d codes", len(pages), len(all))
	}
}

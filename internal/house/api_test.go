package house

import (
	"bytes"
	"flag"
	"go/ast"
	"go/parser"
	"go/printer"
	"go/token"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write api/overlay.txt anew: the exported API has changed on purpose")

// The exported API of the root package stands in api/overlay.txt, without comments and
// in order of name, so that whoever changes it changes that file and sees what they did.
func TestAPI(t *testing.T) {
	root, files := repository(t)
	var public []*file
	for _, f := range files {
		if f.dir() == "." && !f.test() {
			public = append(public, f)
		}
	}
	got := api(t, public)
	name := filepath.Join(root, "api", "overlay.txt")
	if *update {
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	old, now := strings.Split(string(want), "\n"), strings.Split(got, "\n")
	for _, line := range surplus(old, now) {
		t.Errorf("gone: %s", line)
	}
	for _, line := range surplus(now, old) {
		t.Errorf("new:  %s", line)
	}
	if got != string(want) {
		t.Error("the exported API is not what api/overlay.txt says; if that is meant: go test ./internal/house -run '^TestAPI$' -update")
	}
}

// api prints what files export.
func api(t *testing.T, files []*file) string {
	t.Helper()
	printed := make(map[string]string) // by what it is sorted by
	for _, f := range files {
		set := token.NewFileSet()
		tree, err := parser.ParseFile(set, f.path, f.text, parser.SkipObjectResolution) // without comments
		if err != nil {
			t.Fatal(err)
		}
		ast.FileExports(tree)
		for _, d := range tree.Decls {
			name := declared(d)
			if name == "" {
				continue
			}
			var b bytes.Buffer
			if err := (&printer.Config{Mode: printer.UseSpaces | printer.TabIndent, Tabwidth: 8}).Fprint(&b, set, d); err != nil {
				t.Fatal(err)
			}
			printed[name] += b.String() + "\n"
		}
	}
	names := make([]string, 0, len(printed))
	for name := range printed {
		names = append(names, name)
	}
	sort.Strings(names)
	var all strings.Builder
	for _, name := range names {
		for line := range strings.Lines(printed[name]) {
			if strings.TrimSpace(line) != "" {
				all.WriteString(line)
			}
		}
	}
	return all.String()
}

// declared returns what a declaration is sorted by, "" when nobody outside can use it:
// methods follow their type. Function bodies are taken off.
func declared(d ast.Decl) string {
	switch d := d.(type) {
	case *ast.FuncDecl:
		d.Body = nil
		if d.Recv == nil {
			return d.Name.Name
		}
		x := d.Recv.List[0].Type
		if star, ok := x.(*ast.StarExpr); ok {
			x = star.X
		}
		if generic, ok := x.(*ast.IndexExpr); ok {
			x = generic.X
		}
		if receiver, ok := x.(*ast.Ident); ok && receiver.IsExported() {
			return receiver.Name + "." + d.Name.Name
		}
	case *ast.GenDecl:
		for _, s := range d.Specs {
			switch s := s.(type) {
			case *ast.TypeSpec:
				return s.Name.Name
			case *ast.ValueSpec:
				return s.Names[0].Name
			}
		}
	}
	return ""
}

func TestAPISeesChanges(t *testing.T) {
	of := func(text string) string { return api(t, snippet(t, "x.go", "package overlay\n"+text)) }
	base := of("// T is.\ntype T struct{ A int; b int }\nfunc (t *T) F() { t.b = 1 }\nconst C = 1")
	for _, same := range []string{
		"// T is another.\ntype T struct{ A int; c int }\nfunc (t *T) F() {}\nconst C = 1\nfunc g() {}",
		"const C = 1\nfunc (t *T) F() {}\ntype T struct{ A int; b int }\ntype u int\nfunc (u) F() {}",
	} {
		if got := of(same); got != base {
			t.Errorf("nothing exported has changed:\n%s\n%s", base, got)
		}
	}
	for _, other := range []string{
		"type T struct{ A int8; b int }\nfunc (t *T) F() {}\nconst C = 1",
		"type T struct{ A int; b int }\nfunc (t T) F() {}\nconst C = 1",
		"type T struct{ A int; b int }\nfunc (t *T) F() {}\nconst C = 2",
		"type T struct{ A int; b int }\nfunc (t *T) F() error { return nil }\nconst C = 1",
		"type T struct{ A int; b int }\nfunc (t *T) F() {}",
	} {
		if of(other) == base {
			t.Errorf("not seen:\n%s", other)
		}
	}
}

package house

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"sync"
	"testing"
)

const module = "github.com/ada420b6/overlay"

// file is one Go file, by its path from the module's root.
type file struct {
	path string
	text string
	ast  *ast.File
	set  *token.FileSet
}

func (f *file) dir() string { return path.Dir(f.path) }
func (f *file) test() bool  { return strings.HasSuffix(f.path, "_test.go") }

// at says where something is, the way compilers do.
func (f *file) at(n ast.Node, format string, args ...any) string {
	return fmt.Sprintf("%s:%d: %s", f.path, f.set.Position(n.Pos()).Line, fmt.Sprintf(format, args...))
}

// imports returns the import paths of f and where they stand.
func (f *file) imports() map[string]ast.Node {
	m := make(map[string]ast.Node)
	for _, i := range f.ast.Imports {
		p, err := strconv.Unquote(i.Path.Value)
		if err == nil {
			m[p] = i
		}
	}
	return m
}

func parseFile(name, text string) (*file, error) {
	set := token.NewFileSet()
	tree, err := parser.ParseFile(set, name, text, parser.ParseComments|parser.SkipObjectResolution)
	return &file{path: name, text: text, ast: tree, set: set}, err
}

// repository returns the module's root and all of its Go files, those of nested modules
// and of every operating system included. Nobody may change what is shared.
func repository(t *testing.T) (root string, files []*file) {
	t.Helper()
	files, err := read()
	if err != nil {
		t.Fatal(err)
	}
	return moduleRoot, files
}

// moduleRoot is seen from this package, where go test runs its tests.
const moduleRoot = "../.."

var read = sync.OnceValues(func() (files []*file, err error) {
	mod, err := os.ReadFile(filepath.Join(moduleRoot, "go.mod"))
	if err != nil {
		return nil, err
	}
	if !strings.HasPrefix(string(mod), "module "+module+"\n") {
		return nil, fmt.Errorf("%s is not the root of %s", moduleRoot, module)
	}
	err = filepath.WalkDir(moduleRoot, func(p string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && p != moduleRoot && (d.Name() == "testdata" || strings.HasPrefix(d.Name(), ".")):
			return filepath.SkipDir
		case d.IsDir() || !strings.HasSuffix(p, ".go"):
			return nil
		}
		text, err := os.ReadFile(p)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(moduleRoot, p)
		if err != nil {
			return err
		}
		f, err := parseFile(filepath.ToSlash(rel), string(text))
		files = append(files, f)
		return err
	})
	return files, err
})

// rule finds what breaks it, one line each.
type rule func(files []*file) []string

// each makes a rule of one that looks at one file at a time.
func each(check func(f *file) []string) rule {
	return func(files []*file) (broken []string) {
		for _, f := range files {
			broken = append(broken, check(f)...)
		}
		return broken
	}
}

// hold runs a rule over the repository, and over source that breaks it: each of bad must
// be found, each of good must pass. Both are file names and source.
func hold(t *testing.T, r rule, bad, good map[string]string) {
	t.Helper()
	_, files := repository(t)
	broken := r(files)
	sort.Strings(broken)
	for _, line := range broken {
		t.Error(line)
	}
	for name, text := range bad {
		if len(r(snippet(t, name, text))) == 0 {
			t.Errorf("the rule does not see what is wrong with %s:\n%s", name, text)
		}
	}
	for name, text := range good {
		if broken := r(snippet(t, name, text)); len(broken) != 0 {
			t.Errorf("the rule finds fault with good source: %s", broken)
		}
	}
}

// snippet parses one file, whose name may end in " #2" so that a map can hold it twice.
func snippet(t *testing.T, name, text string) []*file {
	t.Helper()
	name, _, _ = strings.Cut(name, " ")
	f, err := parseFile(name, text)
	if err != nil {
		t.Fatal(err)
	}
	return []*file{f}
}

package house

import (
	"fmt"
	"go/ast"
	"go/token"
	"regexp"
	"strings"
	"testing"
)

// A file tells one idea, a function one step of it.
const (
	maxFileLines     = 500
	maxFunctionLines = 70 // of functions that are not tests
)

// length finds files and functions that tell too much.
func length(f *file) (broken []string) {
	if n := strings.Count(f.text, "\n"); n > maxFileLines {
		broken = append(broken, fmt.Sprintf("%s: %d lines, at most %d", f.path, n, maxFileLines))
	}
	if f.test() {
		return broken
	}
	for _, d := range f.ast.Decls {
		fn, ok := d.(*ast.FuncDecl)
		if !ok {
			continue
		}
		if n := f.set.Position(fn.End()).Line - f.set.Position(fn.Pos()).Line + 1; n > maxFunctionLines {
			broken = append(broken, f.at(fn, "%s has %d lines, at most %d", fn.Name.Name, n, maxFunctionLines))
		}
	}
	return broken
}

func TestLength(t *testing.T) {
	long := "package a\nfunc f() {\n" + strings.Repeat("\n", maxFunctionLines-1) + "}\n"
	hold(t, each(length), map[string]string{
		"a/x.go":      "package a\n" + strings.Repeat("//\n", maxFileLines),
		"a/x_test.go": "package a\n" + strings.Repeat("//\n", maxFileLines),
		"a/y.go":      long,
	}, map[string]string{
		"a/z.go":      "package a\nfunc f() {\n" + strings.Repeat("\n", maxFunctionLines-2) + "}\n",
		"a/y_test.go": long,
	})
}

// later is what people write instead of doing it.
var later = regexp.MustCompile(`\b(TODO|FIXME|XXX|HACK)\b`)

func promises(f *file) (broken []string) {
	for _, g := range f.ast.Comments {
		for _, c := range g.List {
			if word := later.FindString(c.Text); word != "" {
				broken = append(broken, f.at(c, "%s: do it, or write down why not", word))
			}
		}
	}
	return broken
}

func TestNothingIsPutOff(t *testing.T) {
	hold(t, each(promises), map[string]string{
		"a/x.go":      "package a\n// TO" + "DO(bob): the rest\nvar x int",
		"a/x_test.go": "package a\nfunc f() { /* FIX" + "ME */ }",
	}, map[string]string{
		"a/y.go": "package a\n// todos are a list of things\nvar todo = \"TODO\"",
	})
}

// Names under which anything can be put.
var vague = regexp.MustCompile(`^(util|utils|common|helper|helpers|types|misc|base|shared)$`)

// packages finds packages that do not say what they are.
func packages(files []*file) (broken []string) {
	said := make(map[string]bool)
	first := make(map[string]*file)
	for _, f := range files {
		if f.test() {
			continue
		}
		if first[f.dir()] == nil {
			first[f.dir()] = f
		}
		name := f.ast.Name.Name
		if doc := f.ast.Doc.Text(); strings.HasPrefix(doc, "Package "+name+" ") || name == "main" && doc != "" {
			said[f.dir()] = true
		}
	}
	for dir, f := range first {
		if !said[dir] {
			broken = append(broken, fmt.Sprintf("%s: no comment says what package %s is", dir, f.ast.Name.Name))
		}
		if vague.MatchString(f.ast.Name.Name) {
			broken = append(broken, fmt.Sprintf("%s: a package named %s holds anything", dir, f.ast.Name.Name))
		}
	}
	return broken
}

func TestPackagesSayWhatTheyAre(t *testing.T) {
	hold(t, packages, map[string]string{
		"a/x.go":       "package a",
		"a/y.go":       "// Something else.\npackage a",
		"cmd/a/x.go":   "package main",
		"util/x.go":    "// Package util is everything.\npackage util",
		"a/helpers.go": "// Package helpers helps.\npackage helpers",
	}, map[string]string{
		"a/z.go":      "// Package a is the first.\npackage a",
		"cmd/a/z.go":  "// The first command.\npackage main",
		"a/z_test.go": "package a_test",
	})
}

// panics finds a panic that does not say that it is a bug of this program.
func panics(f *file) (broken []string) {
	if f.test() {
		return nil
	}
	for _, d := range f.ast.Decls {
		var found []string
		passesOn := false
		ast.Inspect(d, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			name, _ := call.Fun.(*ast.Ident)
			switch {
			case name == nil:
			case name.Name == "recover":
				passesOn = true // what was recovered may be panicked with again
			case name.Name == "panic" && !strings.HasPrefix(constant(call.Args[0]), `"BUG: `):
				found = append(found, f.at(n, `only bugs panic, and say "BUG: ": use invariant.Check`))
			}
			return true
		})
		if !passesOn {
			broken = append(broken, found...)
		}
	}
	return broken
}

// constant returns the string that an expression begins with, quoted.
func constant(x ast.Expr) string {
	for {
		switch y := x.(type) {
		case *ast.BinaryExpr:
			x = y.X
		case *ast.BasicLit:
			return y.Value
		default:
			return ""
		}
	}
}

func TestOnlyBugsPanic(t *testing.T) {
	hold(t, each(panics), map[string]string{
		"a/x.go": "package a\nfunc f(err error) { panic(err) }",
		"a/y.go": "package a\nfunc f() { panic(\"cannot happen\") }",
	}, map[string]string{
		"a/z.go": "package a\nfunc f(s string) { panic(\"BUG: \" + s) }",
		"a/w.go": "package a\nfunc f() { if r := recover(); r != nil { panic(r) } }",
	})
}

// concurrency finds goroutines and channels.
func concurrency(f *file) (broken []string) {
	ast.Inspect(f.ast, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.GoStmt:
			broken = append(broken, f.at(n, "the protocol starts no goroutine"))
		case *ast.SendStmt, *ast.SelectStmt, *ast.ChanType:
			broken = append(broken, f.at(n, "the protocol has no channel"))
		case *ast.UnaryExpr:
			if n.Op == token.ARROW {
				broken = append(broken, f.at(n, "the protocol has no channel"))
			}
		}
		return true
	})
	return broken
}

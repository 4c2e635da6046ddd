package house

import (
	"go/ast"
	"testing"
)

// tester is a function of a package's tests, all of one name taken as one.
type tester struct {
	slept   []string        // where it sleeps
	virtual bool            // it runs in a synctest bubble, where time is virtual
	callers map[string]bool // by name
}

// sleeps finds tests that wait for real time. A function that calls synctest.Test or
// synctest.Wait runs with a bubble, and so does one that is called by such functions only.
func sleeps(files []*file) (broken []string) {
	packages := make(map[string]map[string]*tester)
	for _, f := range files {
		if !f.test() {
			continue
		}
		if packages[f.dir()] == nil {
			packages[f.dir()] = make(map[string]*tester)
		}
		observe(f, packages[f.dir()])
	}
	for _, testers := range packages {
		for again := true; again; {
			again = false
			for _, x := range testers {
				if !x.virtual && allVirtual(testers, x.callers) {
					x.virtual, again = true, true
				}
			}
		}
		for _, x := range testers {
			if !x.virtual {
				broken = append(broken, x.slept...)
			}
		}
	}
	return broken
}

func allVirtual(testers map[string]*tester, callers map[string]bool) bool {
	for name := range callers {
		if !testers[name].virtual {
			return false
		}
	}
	return len(callers) > 0
}

// observe enters what f declares, calls and sleeps. What is not in a function is entered
// under the empty name.
func observe(f *file, testers map[string]*tester) {
	get := func(name string) *tester {
		if testers[name] == nil {
			testers[name] = &tester{callers: make(map[string]bool)}
		}
		return testers[name]
	}
	for _, d := range f.ast.Decls {
		name := ""
		if fn, ok := d.(*ast.FuncDecl); ok {
			name = fn.Name.Name
		}
		x := get(name)
		ast.Inspect(d, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.SelectorExpr:
				switch {
				case is(n, "time", "Sleep"):
					x.slept = append(x.slept, f.at(n, "a test that sleeps: wait for the event itself, or in a synctest bubble"))
				case is(n, "synctest", "Test"), is(n, "synctest", "Wait"):
					x.virtual = true
				case n.Sel.Name != name:
					get(n.Sel.Name).callers[name] = true
				}
			case *ast.Ident:
				if n.Name != name {
					get(n.Name).callers[name] = true
				}
			}
			return true
		})
	}
}

// is reports whether s is pkg.name.
func is(s *ast.SelectorExpr, pkg, name string) bool {
	x, ok := s.X.(*ast.Ident)
	return ok && x.Name == pkg && s.Sel.Name == name
}

func TestTestsDoNotSleep(t *testing.T) {
	hold(t, sleeps, map[string]string{
		"a/x_test.go": "package a\nfunc f() { time.Sleep(1) }",
		"a/y_test.go": "package a\nvar nap = time.Sleep\nfunc f() { synctest.Test(t, g) }",
		"a/v_test.go": "package a\nfunc nap() { time.Sleep(1) }\n" +
			"func f() { synctest.Test(t, func(t *testing.T) { nap() }) }\nfunc g() { nap() }",
	}, map[string]string{
		"a/z_test.go": "package a\nfunc f() { synctest.Test(t, func(t *testing.T) { time.Sleep(1) }) }",
		"a/w_test.go": "package a\nfunc nap() { time.Sleep(1) }\nfunc f() { synctest.Test(t, func(t *testing.T) { nap() }) }",
		"a/w.go":      "package a\nfunc f() { time.Sleep(1) }",
	})
}

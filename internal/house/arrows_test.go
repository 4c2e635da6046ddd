package house

import (
	"strings"
	"testing"
)

// layers says which layer every package of internal lives in. Arrows point down; within
// a layer they may point sideways, as far as the compiler allows, but for apart.
var layers = map[string]int{
	"ident": 0, "vtime": 0, "seed": 0, "invariant": 0, "sorted": 0,
	"wire":   1,
	"attach": ideas, "slots": ideas, "liveness": ideas, "roster": ideas, "directory": ideas, "tier": ideas,
	"core": composer,
	"udp":  4, "session": 4, "path": 4, "stream": 4, "cert": 4, "sim": 4, "login": 4,
	"runtime": 5, "report": 5, "dashboard": 5,
	"house": 6,
}

const (
	ideas    = 2 // one idea each: none of them imports another
	composer = 3 // the only package that knows all of them; the protocol ends here
)

// drivers step the same core and must not lean on each other.
var drivers = map[string]string{"sim": "runtime", "runtime": "sim"}

// room returns the package of internal that an import path or a folder lies in, "" when
// it lies in none. Packages below it belong to it: runtime/memnet is of runtime.
func room(p string) string {
	p = strings.TrimPrefix(p, module+"/")
	if !strings.HasPrefix(p, "internal/") {
		return ""
	}
	name, _, _ := strings.Cut(strings.TrimPrefix(p, "internal/"), "/")
	return name
}

// arrows finds imports that point up, between the ideas, or at the root.
func arrows(f *file) (broken []string) {
	from := room(f.dir())
	if from == "" {
		return nil
	}
	layer, known := layers[from]
	if !known {
		return []string{f.at(f.ast, "internal/%s has no layer: give it one in the table of layers", from)}
	}
	for p, at := range f.imports() {
		to := room(p)
		if p == module || strings.HasPrefix(p, module+"/") && to == "" {
			broken = append(broken, f.at(at, "nothing in internal imports the root or an example"))
		}
		if to == "" || to == from || f.test() {
			continue // a test may look down from anywhere, at anything but the root
		}
		target, known := layers[to]
		switch {
		case !known:
			broken = append(broken, f.at(at, "internal/%s has no layer", to))
		case target > layer:
			broken = append(broken, f.at(at, "%s (layer %d) imports %s (layer %d): arrows point down", from, layer, to, target))
		case layer == ideas && target == ideas:
			broken = append(broken, f.at(at, "%s imports %s: only core knows both", from, to))
		}
	}
	return broken
}

func TestArrows(t *testing.T) {
	hold(t, each(arrows), map[string]string{
		"internal/wire/x.go":        "package wire\nimport _ \"" + module + "/internal/roster\"",
		"internal/roster/x.go":      "package roster\nimport _ \"" + module + "/internal/tier\"",
		"internal/core/x.go":        "package core\nimport _ \"" + module + "/internal/session\"",
		"internal/sim/x.go":         "package sim\nimport _ \"" + module + "/internal/runtime/memnet\"",
		"internal/runtime/x.go":     "package runtime\nimport _ \"" + module + "\"",
		"internal/stream/x.go":      "package stream\nimport _ \"" + module + "/examples/chat\"",
		"internal/stream/x_test.go": "package stream\nimport _ \"" + module + "\"",
		"internal/newcomer/x.go":    "package newcomer",
		"internal/runtime/x.go #2":  "package runtime\nimport _ \"" + module + "/internal/newcomer\"",
	}, map[string]string{
		"internal/core/y.go":            "package core\nimport _ \"" + module + "/internal/tier\"",
		"internal/path/y.go":            "package path\nimport _ \"" + module + "/internal/stream\"",
		"internal/login/storetest/y.go": "package storetest\nimport _ \"" + module + "/internal/login\"",
	})
}

// apart finds a driver that reaches the other one, directly or through others.
func apart(files []*file) (broken []string) {
	edges := make(map[string][]string)
	for _, f := range files {
		for p := range f.imports() {
			if from, to := room(f.dir()), room(p); from != "" && to != "" && !f.test() {
				edges[from] = append(edges[from], to)
			}
		}
	}
	for from, other := range drivers {
		seen := map[string]bool{from: true}
		for next := []string{from}; len(next) > 0; next = next[1:] {
			for _, to := range edges[next[0]] {
				if to == other {
					broken = append(broken, from+" reaches "+other+" through "+next[0])
				}
				if !seen[to] {
					seen[to] = true
					next = append(next, to)
				}
			}
		}
	}
	return broken
}

func TestDriversAreApart(t *testing.T) {
	hold(t, apart, map[string]string{
		"internal/runtime/x.go": "package runtime\nimport _ \"" + module + "/internal/sim\"",
		"internal/sim/x.go":     "package sim\nimport _ \"" + module + "/internal/runtime/memnet\"",
	}, nil)
	through := append(
		snippet(t, "internal/runtime/x.go", "package runtime\nimport _ \""+module+"/internal/report\""),
		snippet(t, "internal/report/x.go", "package report\nimport _ \""+module+"/internal/sim\"")...)
	if len(apart(through)) == 0 {
		t.Error("a way through a third package is not seen")
	}
}

// impure are the packages that would let the outside world into the protocol, with all
// that is below them: net covers net/netip, log covers log/slog.
var impure = []string{
	"time", "net", "os", "log", "sync", "math/rand", "crypto/rand", "context", "runtime", "syscall", "io/fs", "unsafe",
}

// pure finds the outside world at or below the core: clocks, sockets, locks, chance,
// goroutines, and code of others (but for the hash that everything is drawn from).
func pure(f *file) (broken []string) {
	layer, known := layers[room(f.dir())]
	if !known || layer > composer || f.test() {
		return nil
	}
	for p, at := range f.imports() {
		for _, bad := range impure {
			if p == bad || strings.HasPrefix(p, bad+"/") {
				broken = append(broken, f.at(at, "the protocol may not import %s: it is stepped, and draws nothing of its own", p))
			}
		}
		if strings.Contains(p, ".") && room(p) == "" && p != "github.com/dchest/siphash" {
			broken = append(broken, f.at(at, "the protocol may not import %s", p))
		}
	}
	return append(broken, concurrency(f)...)
}

func TestCoreIsPure(t *testing.T) {
	hold(t, each(pure), map[string]string{
		"internal/core/x.go":      "package core\nimport _ \"time\"",
		"internal/core/x.go #2":   "package core\nimport _ \"net/netip\"",
		"internal/core/x.go #3":   "package core\nimport _ \"log/slog\"",
		"internal/wire/x.go":      "package wire\nimport _ \"sync/atomic\"",
		"internal/seed/x.go":      "package seed\nimport _ \"math/rand/v2\"",
		"internal/roster/x.go":    "package roster\nimport _ \"github.com/quic-go/quic-go\"",
		"internal/attach/x.go":    "package attach\nfunc f() { go f() }",
		"internal/slots/x.go":     "package slots\nfunc f(c chan int) { c <- 1 }",
		"internal/directory/x.go": "package directory\nfunc f(c chan int) { <-c }",
	}, map[string]string{
		"internal/core/y.go":      "package core\nimport (\n_ \"encoding/binary\"\n_ \"github.com/dchest/siphash\"\n_ \"math/bits\"\n)",
		"internal/core/y_test.go": "package core\nimport _ \"os\"",
		"internal/runtime/y.go":   "package runtime\nimport _ \"time\"\nfunc f() { go f() }",
	})
}

package house

import (
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// allowed are the modules that a program that imports the root package compiles, on all
// systems together: not one more, and none that is no longer needed.
var allowed = []string{
	"github.com/dchest/siphash",
	"github.com/flynn/noise",
	"github.com/quic-go/quic-go",
	"go.etcd.io/bbolt",
	"golang.org/x/crypto",
	"golang.org/x/net",
	"golang.org/x/sys",
}

// surplus returns what is in have and not in want.
func surplus(have, want []string) (more []string) {
	for _, m := range have {
		if !slices.Contains(want, m) {
			more = append(more, m)
		}
	}
	return more
}

// compiled returns the modules and the standard packages that a package is built from.
func compiled(t *testing.T, root, system, pkg string) (modules, standard []string) {
	t.Helper()
	cmd := exec.Command("go", "list", "-deps", "-f", "{{with .Module}}{{.Path}}{{else}}std {{$.ImportPath}}{{end}}", pkg)
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "GOOS="+system, "CGO_ENABLED=0", "GOFLAGS=-mod=readonly", "GOWORK=off")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %v", cmd.Args, err)
	}
	for _, line := range strings.Split(strings.TrimSpace(string(out)), "\n") {
		if p, ok := strings.CutPrefix(line, "std "); ok {
			standard = append(standard, p)
		} else if line != module && !slices.Contains(modules, line) {
			modules = append(modules, line)
		}
	}
	return modules, standard
}

func TestDependencies(t *testing.T) {
	root, _ := repository(t)
	var all []string
	for _, system := range []string{"linux", "darwin", "windows"} {
		modules, standard := compiled(t, root, system, ".")
		all = append(all, modules...)
		if more := surplus(modules, allowed); len(more) > 0 {
			t.Errorf("%s: a program that imports the root package also compiles %v", system, more)
		}
		// They register flags in the user's program.
		for _, bad := range []string{"testing", "flag", "expvar", "net/http/pprof"} {
			if slices.Contains(standard, bad) {
				t.Errorf("%s: a program that imports the root package also gets %s", system, bad)
			}
		}
	}
	if unused := surplus(allowed, all); len(unused) > 0 {
		t.Errorf("no system needs %v any more: take it off the list", unused)
	}
}

// The rule sees a module too many, as test support has it, and one too few.
func TestDependenciesCanFail(t *testing.T) {
	root, _ := repository(t)
	modules, standard := compiled(t, root, "linux", "./internal/login/storetest")
	if !slices.Contains(surplus(modules, allowed), "pgregory.net/rapid") || !slices.Contains(standard, "testing") {
		t.Errorf("test support compiles %v: rapid is not seen", modules)
	}
	if len(surplus(allowed, modules)) == 0 {
		t.Error("an unused module is not seen")
	}
}

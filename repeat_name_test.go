package overlay

import "testing"

// TestTestIn finds the test that a function is a part of, by the names that the compiler
// gives.
func TestTestIn(t *testing.T) {
	for function, want := range map[string][2]string{
		"example.com/mine/net.TestX":             {"example.com/mine/net", "TestX"},
		"example.com/mine/net_test.TestX":        {"example.com/mine/net", "TestX"},
		"example.com/mine/net.TestX.func1.2":     {"example.com/mine/net", "TestX"},
		"example.com/mine%2ev2_test.ExampleX":    {"example.com/mine.v2", "ExampleX"},
		"main.FuzzX.func1":                       {"main", "FuzzX"},
		"example.com/mine/net.rehearse":          {},
		"example.com/mine/net.(*suite).TestX":    {},
		"example.com/mine/net.init":              {},
		"nothing":                                {},
		"github.com/ada420b6/overlay.checkTest.": {},
	} {
		if pkg, name := testIn(function, "/src/net_test.go"); pkg != want[0] || name != want[1] {
			t.Errorf("%s: package %q, test %q, want %q", function, pkg, name, want)
		}
		if _, name := testIn(function, "/src/net.go"); name != "" {
			t.Errorf("%s: test %q in what is no test file", function, name)
		}
	}
}

package main

import (
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/ada420b6/overlay"
)

func TestFlags(t *testing.T) {
	login, err := overlay.ListenLogin("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer login.Close()
	invite := login.Invite()
	for _, x := range []struct{ args, want string }{
		{"-login 127.0.0.1:0 -state dir", ""},
		{"-invite I", ""},
		{"-invite I -name bob -expose 80=127.0.0.1:8080 -expose chat=127.0.0.1:1 -listen :0=bob:80 -listen :0=bob:80", ""},
		{"-invite I -name bob -role supernode -capacity 10 -address :7000 -v", ""},
		{"-invite I -name bob -expose 53=127.0.0.1:53 -expose-udp 53=127.0.0.1:53 -listen-udp :0=bob:53", ""},
		{"-invite I -name bob -expose-udp 53=:1 -expose-udp 53=:2", "service 53 is exposed already"},
		{"-invite I -name bob -listen-udp :9000=bob", `"bob" is not name:service`},
		{"-invite I -name bob -relay-budget 14000", ""},
		{"-invite I -name bob -relay-budget 1", "-relay-budget 1: at least 14000"},
		{"", "-invite is missing"},
		{"-login 7000", `-login: "7000" is not host:port`},
		{"-login :0 -name bob", "-name is for a node"},
		{"-invite overlay1x -name bob", "WithInvite"},
		{"-invite I -expose 80=:1", "-name is missing"},
		{"-invite I -name bob -role king", "auto, node and supernode are possible"},
		{"-invite I -name bob -capacity 0", "-capacity 0: 1 to 1048576 are possible"},
		{"-invite I -name bob -address 7000", `-address: "7000" is not host:port`},
		{"-invite I -name bob -expose 80", "write service=host:port"},
		{"-invite I -name bob -expose 80=:1 -expose 80=:2", "service 80 is exposed already"},
		{"-invite I -name bob -listen :9000", "write host:port=name:service"},
		{"-invite I -name bob -listen :9000=bob", `"bob" is not name:service`},
		{"-invite I -name bob" + strings.Repeat(" -listen :0=bob:80", maxForwards+1), "more than 64"},
		{"-invite I -name bob extra", `argument "extra" is not a flag`},
		{"-nonsense", "-nonsense"},
	} {
		_, err := parse(strings.Fields(strings.ReplaceAll(x.args, "I", invite)), io.Discard)
		switch {
		case x.want == "" && err != nil:
			t.Errorf("%q: %v", x.args, err)
		case x.want != "" && (err == nil || !strings.Contains(err.Error(), x.want) || strings.Contains(err.Error(), "\n")):
			t.Errorf("%q: %v; want one line with %q", x.args, err, x.want)
		}
	}
	var usage strings.Builder
	if _, err := parse([]string{"-h"}, &usage); !errors.Is(err, errHelp) || !strings.Contains(usage.String(), "-expose service=host:port") {
		t.Errorf("-h: %v, %q", err, usage.String())
	}
}

// FuzzFlags: whatever is given as -expose and -listen either leads somewhere or is
// refused in one line.
func FuzzFlags(f *testing.F) {
	for _, s := range []string{"80=127.0.0.1:8080", "127.0.0.1:9000=bob:80", "=", "[::1]:1=b:c", "a\nb", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		var c config
		for name, add := range map[string]func(string) error{
			"expose":     func(s string) error { return c.addExposure(s, exposure{}) },
			"listen-udp": func(s string) error { return c.addEntrance(s, entrance{udp: true}) },
		} {
			if err := add(s); err != nil && strings.Contains(err.Error(), "\n") {
				t.Errorf("-%s %q: error of several lines: %v", name, s, err)
			}
		}
		for _, e := range c.expose {
			if e.service == "" {
				t.Errorf("%q leads to no service", s)
			}
		}
	})
}

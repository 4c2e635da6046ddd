package ident

import (
	"strings"
	"testing"
)

func TestCheckName(t *testing.T) {
	for _, ok := range []string{"a", "bob", "bob-2.home", strings.Repeat("x", MaxName)} {
		if err := CheckName(ok); err != nil {
			t.Errorf("CheckName(%q) = %v", ok, err)
		}
	}
	for _, bad := range []string{"", "Bob", "bob ", "-a", "a.", "b/c", "ü", strings.Repeat("x", MaxName+1)} {
		if CheckName(bad) == nil {
			t.Errorf("CheckName(%q) is nil", bad)
		}
	}
	if err := CheckName("jürgen"); !strings.Contains(err.Error(), "byte 1 is 'ü'") {
		t.Errorf("%v, want the letter itself", err)
	}
}

func TestTransient(t *testing.T) {
	if Handle(5).Transient() || !Transient(5).Transient() {
		t.Fatal("transient handles are not told apart")
	}
}

func TestHashName(t *testing.T) {
	if HashName("") != 0 || HashName("a") == HashName("b") {
		t.Fatal("HashName")
	}
}

package overlay

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"math"
	"os"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/ada420b6/overlay/internal/core"
)

// policyFields calls do for every field of a policy.
func policyFields(t *testing.T, do func(t *testing.T, f reflect.StructField)) {
	for i := range reflect.TypeFor[HealingPolicy]().NumField() {
		f := reflect.TypeFor[HealingPolicy]().Field(i)
		t.Run(f.Name, func(t *testing.T) { do(t, f) })
	}
}

// set returns h with one field changed.
func set(h HealingPolicy, field string, to any) HealingPolicy {
	reflect.ValueOf(&h).Elem().FieldByName(field).Set(reflect.ValueOf(to))
	return h
}

// another returns a value of the field that is not the one that h has.
func another(h HealingPolicy, field string) any {
	switch v := reflect.ValueOf(h).FieldByName(field).Interface().(type) {
	case int:
		return v + 3
	case float64:
		return v + 0.25
	case time.Duration:
		return v + 7*time.Second
	case bool:
		return !v
	default:
		panic("a policy is made of numbers, times and flags")
	}
}

// TestPolicyIsPaired: every field reaches the protocol and comes back, alone, and the
// protocol decides by nothing that the public policy does not have.
func TestPolicyIsPaired(t *testing.T) {
	var p core.Policy
	var h HealingPolicy
	if public, own, listed := reflect.TypeOf(h).NumField(), reflect.TypeOf(p).NumField(), len(h.fields(&p)); public != own || public != listed {
		t.Errorf("%d public fields, %d of the protocol, %d in the list", public, own, listed)
	}
	policyFields(t, func(t *testing.T, f reflect.StructField) {
		h := DefaultHealing()
		changed := set(h, f.Name, another(h, f.Name))
		if back := healingOf(changed.core()); back != changed {
			t.Errorf("%+v came back as %+v", changed, back)
		}
		was, is := reflect.ValueOf(h.core()), reflect.ValueOf(changed.core())
		differ := 0
		for i := range was.NumField() {
			if !was.Field(i).Equal(is.Field(i)) {
				differ++
			}
		}
		if differ != 1 {
			t.Errorf("it changes %d fields of the protocol's policy", differ)
		}
	})
}

// TestPolicyIsValidated: a value that no field can have is refused with one error that
// names the field, the value, and what it must be.
func TestPolicyIsValidated(t *testing.T) {
	policyFields(t, func(t *testing.T, f reflect.StructField) {
		bad := map[reflect.Type][]any{
			reflect.TypeFor[int]():           {-1, math.MaxInt},
			reflect.TypeFor[time.Duration](): {-time.Second, time.Duration(math.MaxInt64)},
			reflect.TypeFor[float64]():       {-1.0, 1e9, math.NaN(), math.Inf(1)},
		}[f.Type]
		if bad == nil && f.Type.Kind() != reflect.Bool {
			t.Fatalf("a field of type %v", f.Type)
		}
		for _, v := range bad {
			err := set(DefaultHealing(), f.Name, v).validate()
			if n := complaints(err, f.Name); n != 1 {
				t.Errorf("%v: %d errors name the field: %v", v, n, err)
			}
		}
	})
	for name, h := range map[string]HealingPolicy{"DefaultHealing": DefaultHealing(), "Naive2007": Naive2007()} {
		if err := h.validate(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// complaints counts the errors that are about a field.
func complaints(err error, field string) (n int) {
	if err == nil {
		return 0
	}
	for line := range strings.Lines(err.Error()) {
		if strings.HasPrefix(line, field+" is ") && strings.Contains(line, "it must be ") {
			n++
		}
	}
	return n
}

// TestPolicyIsAtOdds: what fields owe each other is refused too, once, at the one that
// says what it must be.
func TestPolicyIsAtOdds(t *testing.T) {
	for field, to := range map[string]any{
		"ProbeMax": 1, "BackoffMax": 500 * time.Millisecond, "SecondWait": 2 * time.Minute, "AttachBurst": 1200,
		"LoadedAfter": 2 * time.Minute, "StormFrom": 7 * time.Second, "KeepaliveThin": 10 * time.Second,
		"LookupHedge": 3 * time.Second, "LoginLife": 4 * time.Second, "PingTimeout": 3 * time.Second,
		"SuspicionMax": time.Second, "PromoteAbove": 0.4, "DemoteBelow": 0.6,
	} {
		err := set(DefaultHealing(), field, to).validate()
		if err == nil || complaints(err, field) != 1 || strings.Count(err.Error(), "\n") > 0 {
			t.Errorf("%s of %v: %v", field, to, err)
		}
	}
	if err := set(DefaultHealing(), "AttachBurst", 1199).validate(); err != nil {
		t.Error(err)
	}
}

// TestPolicyIsDocumented: the table in PROTOCOL.md has every field with its default and
// what is allowed, and no other; the comment of each names its default and says what is
// higher or longer for.
func TestPolicyIsDocumented(t *testing.T) {
	table := constants(t)
	comments := fieldComments(t)
	h := DefaultHealing()
	var p core.Policy
	for _, f := range h.fields(&p) {
		want := [2]string{human(f.name, f.value), allowed(f)}
		if got, ok := table[f.name]; got != want {
			t.Errorf("PROTOCOL.md, %s: %q (there: %v), want %q", f.name, got, ok, want)
		}
		delete(table, f.name)
		c := comments[f.name]
		_, says, found := strings.Cut(c, "Default")
		if !found || !strings.Contains(squeezed(says), squeezed(want[0])) {
			t.Errorf("healing.go, %s: %q does not say that its default is %s", f.name, c, want[0])
		}
		if _, isFlag := f.value.(bool); !isFlag && f.name != "Attachments" && !strings.Contains(strings.ToLower(c), "higher") {
			t.Errorf("healing.go, %s: %q does not say what is higher for", f.name, c)
		}
	}
	for name := range table {
		t.Errorf("PROTOCOL.md: %s is no field", name)
	}
}

// squeezed leaves out the spaces, which group digits or not.
func squeezed(s string) string { return strings.Join(strings.Fields(s), "") }

// constants reads the table of fields in section 13 of PROTOCOL.md: name to default and
// what is allowed, two to a row.
func constants(t *testing.T) map[string][2]string {
	t.Helper()
	b, err := os.ReadFile("PROTOCOL.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(b), "\n## 13. Constants\n")
	_, rows, found := strings.Cut(section, "| field | default | allowed | field | default | allowed |\n")
	if !found {
		t.Fatal("PROTOCOL.md has no table of fields in section 13")
	}
	rows, _, _ = strings.Cut(rows, "\n\n")
	table := map[string][2]string{}
	for row := range strings.Lines(rows) {
		cells := strings.Split(strings.Trim(row, "|\n "), "|")
		if strings.Contains(row, "---") {
			continue
		}
		for i := 0; i+2 < len(cells); i += 3 {
			if name := strings.TrimSpace(cells[i]); name != "" {
				table[name] = [2]string{strings.TrimSpace(cells[i+1]), strings.TrimSpace(cells[i+2])}
			}
		}
	}
	return table
}

// fieldComments reads the comment of each field; one that stands above several is that of
// all of them.
func fieldComments(t *testing.T) map[string]string {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "healing.go", nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	comments, last := map[string]string{}, ""
	ast.Inspect(file, func(n ast.Node) bool {
		if f, ok := n.(*ast.Field); ok && len(f.Names) > 0 {
			if f.Doc != nil {
				last = f.Doc.Text()
			}
			for _, name := range f.Names {
				if comments[name.Name] = last; !strings.Contains(last, name.Name) {
					t.Errorf("%s has the comment %q", name.Name, last)
				}
			}
		}
		return true
	})
	return comments
}

// allowed writes the range of a field as the documents do.
func allowed(f field) string {
	if _, ok := f.value.(bool); ok {
		return "false, true"
	}
	return human(f.name, f.lo) + " to " + human(f.name, f.hi)
}

// human writes a value of a field as the documents do.
func human(field string, v any) string {
	switch v := v.(type) {
	case time.Duration:
		for _, u := range []struct {
			d    time.Duration
			name string
		}{{day, "days"}, {time.Hour, "h"}, {time.Minute, "min"}, {time.Second, "s"}, {ms, "ms"}} {
			if v >= u.d && v%u.d == 0 && (v > u.d || u.d != day) {
				return fmt.Sprintf("%d %s", v/u.d, u.name)
			}
		}
		return "0"
	case int:
		if field == "GossipBytes" {
			if v == 1<<30 {
				return "1 GiB"
			}
			return fmt.Sprintf("%d KiB", v>>10)
		}
		var groups string // 16 777 216
		for ; v >= 1000; v /= 1000 {
			groups = fmt.Sprintf(" %03d%s", v%1000, groups)
		}
		return fmt.Sprint(v) + groups
	case float64:
		if v >= 0.01 { // the protocol counts in 1/128
			v = math.Round(v*100) / 100
		}
		return strconv.FormatFloat(v, 'f', -1, 64)
	}
	return fmt.Sprint(v)
}

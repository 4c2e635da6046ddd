package seed

import "testing"

func TestForkIsIndependentOfDraws(t *testing.T) {
	a, b := New(7), New(7)
	a.Uint64()
	fa, fb := a.Fork(3), b.Fork(3)
	if fa.Uint64() != fb.Uint64() {
		t.Fatal("a draw from the parent changed the fork")
	}
	g := b.Fork(4)
	fb = b.Fork(3)
	if g.Uint64() == fb.Uint64() {
		t.Fatal("two labels gave one stream")
	}
}

func TestRanges(t *testing.T) {
	r := New(1)
	for range 10000 {
		if n := r.Intn(7); n < 0 || n >= 7 {
			t.Fatalf("Intn(7) = %d", n)
		}
		if f := r.Float64(); f < 0 || f >= 1 {
			t.Fatalf("Float64 = %v", f)
		}
		if v := r.Between(-5, 5); v < -5 || v >= 5 {
			t.Fatalf("Between(-5, 5) = %d", v)
		}
	}
	if v := r.Between(3, 3); v != 3 {
		t.Fatalf("Between(3, 3) = %d, want 3", v)
	}
}

func TestKnownStream(t *testing.T) {
	r := New(1)
	got := [3]uint64{r.Uint64(), r.Uint64(), r.Uint64()}
	s := New(1)
	for i, want := range got {
		if v := s.Uint64(); v != want {
			t.Fatalf("draw %d: %x, then %x", i, want, v)
		}
	}
	if a := testing.AllocsPerRun(100, func() { r.Uint64() }); a != 0 {
		t.Fatalf("a draw allocates %v times", a)
	}
}

package sorted

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// Whatever the keys and the guess, it is what a plain search finds.
func TestFind(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		keys := rapid.SliceOfN(rapid.Uint64Range(0, 300), 0, 200).Draw(t, "keys")
		slices.Sort(keys)
		k := rapid.Uint64Range(0, 310).Draw(t, "k")
		at, ok := slices.BinarySearch(keys, k)
		if i, found := Find(keys, k, rapid.IntRange(-5, 300).Draw(t, "guess")); i != at || found != ok {
			t.Fatalf("Find: %d, %v, want %d, %v", i, found, at, ok)
		}
		if i, found := Hash(keys, k); i != at || found != ok {
			t.Fatalf("Hash: %d, %v, want %d, %v", i, found, at, ok)
		}
		var small []uint32
		for _, k := range keys {
			small = append(small, uint32(k))
		}
		if i, found := Number(small, uint32(k)); i != at || found != ok {
			t.Fatalf("Number: %d, %v, want %d, %v", i, found, at, ok)
		}
	})
}

// The ends of the range of keys do not overflow.
func TestEnds(t *testing.T) {
	all := []uint64{0, 1, 1 << 63, 1<<64 - 1}
	for i, k := range all {
		if at, ok := Hash(all, k); at != i || !ok {
			t.Errorf("%d is found at %d, %v", k, at, ok)
		}
	}
	few := []uint32{0, 1, 1<<32 - 1}
	for i, k := range few {
		if at, ok := Number(few, k); at != i || !ok {
			t.Errorf("%d is found at %d, %v", k, at, ok)
		}
	}
}

package roster

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/ada420b6/overlay/internal/ident"
)

// The index says what a map says, whoever comes and goes: its places are few here, so that
// their order around the end is seen.
func TestIndex(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var x index
		var rows []row
		want := make(map[ident.Handle]int)
		drop := func(h ident.Handle) {
			i, last := want[h], len(rows)-1
			// The last row takes its place, as table.remove has it.
			x.remove(h)
			if i != last {
				rows[i], want[rows[last].peer] = rows[last], i
				x.moved(rows[i].peer, i)
			}
			rows = rows[:last]
			delete(want, h)
		}
		for range rapid.IntRange(1, 200).Draw(t, "steps") {
			h := ident.Handle(rapid.Uint32Range(1, 40).Draw(t, "handle"))
			if _, known := want[h]; known {
				drop(h)
			} else {
				rows = append(rows, row{peer: h})
				want[h] = len(rows) - 1
				x.add(rows)
			}
			for h := ident.Handle(1); h <= 40; h++ {
				if i, ok := want[h]; ok && x.find(h) != i || !ok && x.find(h) >= 0 {
					t.Fatalf("handle %d is found at %d, want %d, %v", h, x.find(h), i, ok)
				}
			}
		}
	})
}

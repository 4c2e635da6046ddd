// Package invariant holds the checks that are always on.
//
// A failed check is a bug in this program, never a peer's doing: peers' bad input is
// counted and dropped by the code that parses it.
package invariant

// Check panics with "BUG: " and msg when ok is false. msg is a constant, so that a
// check that holds costs one branch.
func Check(ok bool, msg string) {
	if !ok {
		panic("BUG: " + msg)
	}
}

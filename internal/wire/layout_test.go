package wire

import (
	"bytes"
	stdflag "flag"
	"fmt"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = stdflag.Bool("update", false, "write testdata/layout.txt anew: the format has changed on purpose")

// The bytes of one message of every kind are on file: Append and Parse may not change
// together without being seen.
func TestLayout(t *testing.T) {
	var got bytes.Buffer
	for k := KindNone + 1; k < kinds; k++ {
		fmt.Fprintf(&got, "%d %v\n", k, k)
		for b := messages[k](&fixed{}).Append(nil, compactBook); len(b) > 0; {
			n := min(len(b), 32)
			fmt.Fprintf(&got, "\t%x\n", b[:n])
			b = b[n:]
		}
	}
	const file = "testdata/layout.txt"
	if *update {
		if err := os.WriteFile(file, got.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), got.String()); d != "" {
		t.Errorf("the layout on the wire has changed; if that is meant, raise Version and run with -update:\n%s", d)
	}
}

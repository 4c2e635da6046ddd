package core

import (
	"testing"
	"unsafe"
)

// TestNodeSize holds the budget of PROTOCOL.md section 1: ten million nodes in one
// flat array. The host cache is the driver's.
func TestNodeSize(t *testing.T) {
	if n := unsafe.Sizeof(Node{}); n > 512 {
		t.Fatalf("a Node takes %d bytes, the budget is 512", n)
	} else {
		t.Logf("%d bytes", n)
	}
}

package sim

import (
	"syscall"
	"unsafe"
)

// pageBytes is a large page of the processor. An array of gigabytes that is read at random
// needs a look into the page tables for nearly every read unless its pages are large.
const pageBytes = 2 << 20

// adviseLarge asks the system for large pages for n bytes from p, as far as whole ones lie
// in them. It is an advice: a system that does not take it is slower and no more.
func adviseLarge(p unsafe.Pointer, n uintptr) {
	skip := -uintptr(p) & (pageBytes - 1)
	if n < skip+pageBytes {
		return
	}
	whole := (n - skip) &^ (pageBytes - 1)
	_ = syscall.Madvise(unsafe.Slice((*byte)(unsafe.Add(p, skip)), whole), syscall.MADV_HUGEPAGE)
}

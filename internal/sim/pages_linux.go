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

// madvCollapse moves what is there to large pages now (Linux 6.1); else they come by and by.
const madvCollapse = 25

// adviseAround asks for large pages for the part of the collector's memory that p lies in,
// and returns where that part begins. What supernodes have, tables of some kilobytes each,
// is there.
func adviseAround(p unsafe.Pointer) uintptr {
	begin := uintptr(p) &^ (arenaBytes - 1)
	for _, advice := range []uintptr{syscall.MADV_HUGEPAGE, madvCollapse} {
		// Parts of it may not be in use: the system says so, and has done the others.
		_, _, _ = syscall.Syscall(syscall.SYS_MADVISE, begin, arenaBytes, advice)
	}
	return begin
}

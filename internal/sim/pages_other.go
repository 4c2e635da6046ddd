//go:build !linux

package sim

import "unsafe"

// adviseLarge asks for large pages where the system can be asked.
func adviseLarge(unsafe.Pointer, uintptr) {}

// adviseAround does so for the collector's memory around p.
func adviseAround(unsafe.Pointer) uintptr { return 0 }

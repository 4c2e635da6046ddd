//go:build !linux

package sim

import "unsafe"

// adviseLarge asks for large pages where the system can be asked.
func adviseLarge(unsafe.Pointer, uintptr) {}

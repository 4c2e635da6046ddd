//go:build !unix

package main

import "os"

// statusSignals is empty: the system has no signal that is a program's own.
var statusSignals []os.Signal

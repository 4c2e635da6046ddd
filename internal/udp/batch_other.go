//go:build !linux

package udp

import "net"

// batch is Linux's.
type batch struct{}

func newBatch(*net.UDPConn) *batch  { return nil }
func (*batch) read() ([]Run, error) { return nil, net.ErrClosed }
func (*batch) write([]Run) int      { return 0 }
func (*batch) segments() bool       { return false }

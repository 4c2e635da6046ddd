//go:build !linux

package udp

import (
	"net"
	"syscall"
)

// batch is Linux's.
type batch struct{}

func newBatch(*net.UDPConn) *batch  { return nil }
func (*batch) read() ([]Run, error) { return nil, net.ErrClosed }
func (*batch) write([]Run) int      { return 0 }

func (*batch) socket() syscall.RawConn { return nil }

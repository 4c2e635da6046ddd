//go:build !linux

package stream

import "net"

// conn returns what quic-go gets.
func (c *carrier) conn() net.PacketConn { return c }

// route returns what quic-go is to dial for a peer.
func (c *carrier) route(a Addr) net.Addr { return newRoute(a) }

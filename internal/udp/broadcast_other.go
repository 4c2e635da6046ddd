//go:build !unix

package udp

import "net"

func noBroadcast(*net.UDPConn) {}

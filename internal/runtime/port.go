package runtime

import (
	"context"
	"encoding/binary"
	"net"
	"strconv"

	"github.com/ada420b6/overlay/internal/udp"
)

// A node that lets the system choose its port gets the same one again after a restart,
// if it is free. Others remember it by its address: after a reboot of the whole network
// they can only find each other where they were.

// listen makes the node's socket, at the port that it had before if none is asked for.
func listen(ctx context.Context, c *Config, st *state, had uint16) (net.PacketConn, error) {
	host, port, err := net.SplitHostPort(c.Address)
	if err == nil && port == "0" && had != 0 {
		if pc, err := c.ListenPacket(ctx, net.JoinHostPort(host, strconv.Itoa(int(had)))); err == nil {
			return pc, nil
		}
	}
	pc, err := c.ListenPacket(ctx, c.Address)
	if err != nil || st == nil {
		return pc, err
	}
	if at, ok := udp.AddrPort(pc.LocalAddr()); ok && at.Port() != had {
		if err := st.write(namePort, filePort, binary.BigEndian.AppendUint16(nil, at.Port())); err != nil {
			c.Logger.Warn("the port can't be kept for the next start", "error", err)
		}
	}
	return pc, nil
}

package overlay

import "github.com/ada420b6/overlay/internal/core"

// Role is what a node may become.
type Role uint8

// The roles.
const (
	// RoleAuto is an ordinary node that serves as a supernode while the network needs
	// it, if it can be reached from outside and as far as its capacity goes.
	RoleAuto Role = iota
	// RoleNode is an ordinary node that never serves, whatever the network needs.
	RoleNode
	// RoleSupernode serves from the start and until it ends: an operator's machine, or
	// one whose owner has decided so. It must be reachable from outside; whether it is
	// is not checked.
	RoleSupernode
)

// String returns the name of the role: auto, node or supernode.
func (r Role) String() string {
	switch r {
	case RoleAuto:
		return "auto"
	case RoleNode:
		return "node"
	case RoleSupernode:
		return "supernode"
	}
	return "unknown"
}

func (r Role) core() core.Role {
	switch r {
	case RoleNode:
		return core.RoleNode
	case RoleSupernode:
		return core.RoleSupernode
	}
	return core.RoleAuto
}

// Service is what a node does for others while it is a supernode. All fields are 0
// while it is none.
type Service struct {
	Held         int    // nodes attached to it
	Capacity     int    // of them, how many it wants at most
	Members      int    // supernodes that it knows to be alive, itself included
	Records      int    // names of others that it stores
	Channels     int    // pairs of nodes whose datagrams it forwards
	RelayedBytes uint64 // bytes that it has forwarded
}

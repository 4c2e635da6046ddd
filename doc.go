// Package overlay turns the machines of its users into one self-healing network.
//
// Any Go program can embed a node. A node has a name, finds other nodes by theirs, sees who
// of them is there, and talks to them over ordinary net.Conn, net.Listener and net.PacketConn values,
// encrypted end to end. There are two tiers, and both are made of the users' machines:
// ordinary nodes attach to supernodes, and supernodes know each other, hold the
// directory of names and relay. Which node becomes a supernode is decided by the
// network itself, by what it needs and what a machine can give. The operator runs one
// or a few login servers, which give names to keys, and nothing else.
//
//	network, err := overlay.New(overlay.WithInvite(invite), overlay.WithStateDir(dir))
//	node, err := network.Join(ctx, "alice")
//	conn, err := node.DialContext(ctx, "tcp", "bob:80")
//
// # Healing
//
// The network is built to come back. A node that loses its supernodes finds others,
// from what it remembers on disk, without the login servers and without a storm, after
// any sequence of reboots of any number of machines: supernodes tell those who ask when
// to come, and so a million that ask at once are served as fast as the survivors can,
// and no faster. A HealingPolicy holds every number of it that can be turned.
// PROTOCOL.md in the repository says how it works and why.
//
// # Rehearsal
//
// A Simulation runs the same protocol code, with virtual time, for as many nodes as
// fit into memory: the disaster can be rehearsed in a test.
//
//	s, err := overlay.NewSimulation(1)
//	s.Add(10_000)
//	s.Run(10 * time.Minute)
//	s.Reboot(0.6, time.Minute, 2*time.Minute)
//	s.Run(10 * time.Minute)
//	fmt.Println(s.Census())
//
// Its Explain tells why a node is where it is, and an error how to see it again. The
// examples of HealingPolicy rehearse a policy of one's own.
//
// # What a node gives
//
// A node that can be reached from outside may be asked to serve as a supernode. It then
// holds up to a capacity of attachments (1600 by default, about 2 KiB and 3 bytes a
// second each), stores records of names, and forwards datagrams between nodes that it
// can't read (250 kB a second in all, unless WithRelayBudget says otherwise). WithCapacity
// caps it, and WithRole(RoleNode) refuses it. A program whose
// only purpose is to give, joins without a name: WithContributeOnly.
package overlay

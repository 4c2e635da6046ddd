// Package core is the protocol: a value that is stepped.
//
// A machine starts no goroutine, opens no socket, reads no clock and draws no
// randomness of its own. It is handed what has happened (an Input) and the moment at
// which it did, and it appends what shall be done (Effects) to a buffer of its caller.
// Two drivers step it, the runtime and the simulator, so what heals or collapses in
// one heals or collapses in the other.
//
// The ordinary node is Node: pointer-free and small, so that ten million of them are
// one flat array. What only some nodes need, the Supernode and the Calls, hangs apart
// and is lent through Env.
package core

// Package sim rehearses disasters: it drives the machines of package core under virtual
// time, in one thread, from one seed, as the runtime drives one of them under real time.
//
// What there is:
//
//	queue     what will happen, a timing wheel of flat records
//	foretell  keepalives that need not happen
//	renew     nor refreshes of records
//	host      power, timer, socket and disk of each machine
//	network   latency, jitter, loss, duplication, reordering, NAT, partitions
//	book      who is who, and what only the owner of a name can have signed
//	faults    crash, reboot, leave, partition, dead login servers
//	oracle    the rules of PROTOCOL.md section 3, checked at every event
//	stats     what is counted, and how long nodes waited
//	recovery  when the network had come back, and when it could have at best
//	warm      an ordinary day, which a rehearsal begins with; users who switch off and on
//	replay    the comings and goings of real hosts, from availability traces, or by the hour
//	zones     time zones: users by the time of day, patches with the sun and ring by ring
//	explain   why a node is where it is: its state, and its history
//
// A test has two phases. In the first there are faults, and the oracle checks what must
// never happen (R2, R3, R5 to R9). Then the faults stop, and Settle and Merged check what
// must happen in time (R1, R4, R11):
//
//	s, err := sim.New(sim.DefaultConfig(1000))
//	...
//	s.Add(1000)
//	s.StartAll(10 * vtime.Second)
//	s.RebootShare(0.3, vtime.Minute, vtime.Minute)
//	err = s.Run(vtime.Minute)
//	took, err := s.Settle(5 * vtime.Minute)
//
// A Violation names the rule, the moment, the node and the seed that shows it again.
//
// # What is real and what is not
//
// Every message is bytes, appended and parsed by package wire on both sides. In the full
// form they have the sizes of real ones and the limit of wire.MaxMessage is checked; in
// the compact form keys and signatures are left out. The host cache and the roster are
// kept on disk at every moment, as if EffectSave were carried out at once; a real disk is
// a little behind. There are sessions only as far as machines see them, see network.
// Clocks do not drift. Login servers decide one application after the other, together
// Config.LoginRate a second, and grant all of them.
//
// Above ForetoldAbove nodes, keepalives that change nothing are drawn ahead and not
// carried out, and records that their replicas have are renewed without a message: see
// foretell.go, renew.go and Config.Foretold. Whatever is the matter with a node,
// its keepalives are messages, and its supernode's news and death reach it as late as
// ever; TestForetoldIsTheSame compares both ways.
//
// Of more than 2 000 nodes, an ordinary day is entered as it stands, and not carried out
// from everybody's start: see core.Growth and StartGrown. TestGrown looks whether the
// machines find out.
//
// # Size
//
// A node takes core.Node, 72 bytes of host, 12 bytes of book, 96 where keepalives are
// foretold, and its host cache; a queued event 32 bytes, a message in flight the next
// block size of the arena. Nothing
// of this has a pointer, so the collector looks at supernodes only. Memory reports it.
package sim

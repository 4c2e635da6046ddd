package sim

import "github.com/ada420b6/overlay/internal/wire"

// Refreshes that are foretold (Config.Foretold).
//
// More than half of the messages of a network at rest are puts of records that their
// replicas have, and the acks of these: all that they change is when the record expires.
// Where a replica has that very record, it is renewed at once, in place of two messages
// crossing the network; whether all three tries would be lost is drawn, and then what
// follows is what follows from that. Whatever else a put may find goes its usual way. A
// record that all of its replicas have is renewed for renewals intervals at once.
//
// What differs: a record is renewed a round trip earlier; one whose supernode dies expires
// after 20 to 50 min and not after 20 to 30; and the load on hosts, 7 of the 5 000 messages
// a second that a supernode with 400 users can handle.

// renewals is for how many intervals a record is renewed: the more, the longer it outlives
// its supernode.
const renewals = 3

// renewing is the record whose puts are being carried out.
type renewing struct {
	record wire.Record
	all    bool // of its puts so far have renewed it
	puts   int
}

// renewed carries out a put from host i to host to if it does no more than renew a record,
// and reports whether it has.
func (s *Sim) renewed(i, to uint32, b []byte) bool {
	var m wire.Put
	if s.naps == nil || m.Parse(b, s.book) != nil {
		return false
	}
	if s.renewing.record != m.Record {
		s.renewedAll(i)
		s.renewing = renewing{record: m.Record, all: true}
	}
	if !s.renewing.all && s.renewing.puts == 0 {
		return false // its first replica did not have it: it is new to all of them
	}
	h, n := &s.hosts[to], &s.net
	sender, super := s.supers.get(s.hosts[i].super), s.supers.get(h.super)
	if sender == nil || super == nil || n.cut != nil || h.busy > s.now || !super.HasRecord(handle(i), m.Record, s.now) {
		s.renewing.all = false
		return false
	}
	pass := 1<<16 - uint64(n.loss)
	vain := 1<<32 - pass*pass                                          // a put or its ack is lost, in 2^-32
	if odds := vain * vain >> 32 * vain >> 32; n.random()>>32 < odds { // and so are both others
		s.stats.dropped[DropLoss]++
		s.renewing.all = false
		return true
	}
	s.stats.renewed++
	s.renewing.puts++
	super.Renew(m.Record, s.now.Add((renewals-1)*s.cfg.Policy.RecordRefresh))
	sender.Renewed(m.ID, handle(to))
	return true
}

// renewedAll puts the next refresh of the record off, if all of its puts have renewed it and
// they were to all replicas, of which the sender may be one.
func (s *Sim) renewedAll(i uint32) {
	sender := s.supers.get(s.hosts[i].super)
	if s.renewing.all && s.renewing.puts >= s.cfg.Policy.Replicas-1 && sender != nil {
		sender.PutOff(s.renewing.record, (renewals-1)*s.cfg.Policy.RecordRefresh, s.now)
		s.stats.renewed += (renewals - 1) * uint64(s.renewing.puts)
	}
	s.renewing = renewing{}
}

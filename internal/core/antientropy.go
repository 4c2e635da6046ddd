package core

import (
	"github.com/ada420b6/overlay/internal/ident"
	"github.com/ada420b6/overlay/internal/roster"
	"github.com/ada420b6/overlay/internal/wire"
)

// How two rosters find out where they differ: what gossip has missed is repaired here.
// The exchange is drawn in package roster.

// onDigest compares rosters: where the hashes differ, the parts or the members are
// sent. Package roster draws the exchange.
func (s *step) onDigest() {
	sn := s.env.Super
	var m wire.Digest
	if !s.parsed(m.Parse(s.in.Bytes, s.env.Book)) {
		return
	}
	if m.Bucket != wire.DigestTop {
		if int(m.Bucket) >= roster.Buckets {
			s.n.bad++
			return
		}
		own := sn.roster.SubDigest(int(m.Bucket))
		for set := roster.Differ(&own, &m.Hashes); set != 0; {
			var part int
			part, set = roster.NextBucket(set)
			first, last := roster.Part(int(m.Bucket), part)
			s.summarize(s.in.From, first, last)
		}
		return
	}
	own := sn.roster.TopDigest()
	differ := roster.Differ(&own, &m.Hashes)
	if differ == 0 {
		return
	}
	if sn.roster.Count(0, roster.MaxID, wire.MaxNotices+1) <= wire.MaxNotices {
		s.summarize(s.in.From, 0, roster.MaxID)
		return
	}
	for set := differ; set != 0; {
		var bucket int
		bucket, set = roster.NextBucket(set)
		first, last := roster.Bucket(bucket)
		if sn.roster.Count(first, last, wire.MaxNotices+1) <= wire.MaxNotices {
			s.summarize(s.in.From, first, last)
			continue
		}
		d := wire.Digest{Bucket: uint8(bucket), Hashes: sn.roster.SubDigest(bucket)}
		s.out.send(s.in.From, d.Append(s.out.begin(), s.env.Book), false)
	}
}

// summarize lists what is held from first to last.
func (s *step) summarize(to ident.Handle, first, last ident.ID) {
	sn := s.env.Super
	for {
		var buf [wire.MaxNotices]roster.Member
		page, end := sn.roster.Page(first, last, buf[:0])
		m := wire.Summary{First: first, Last: end}
		for _, b := range page {
			m.Notices.Add(wire.Notice{Peer: b.Peer, Inc: b.Inc, State: wire.State(b.State)})
		}
		s.out.send(to, m.Append(s.out.begin(), s.env.Book), false)
		if end == last {
			return
		}
		first = end + 1
	}
}

// tellAtOnce is how many members one Summary is answered with: 8 packets of records.
// What is beyond it the next comparison finds.
const tellAtOnce = 24

func (s *step) onSummary() {
	sn := s.env.Super
	var m wire.Summary
	if !s.parsed(m.Parse(s.in.Bytes, s.env.Book)) {
		return
	}
	var theirs [wire.MaxNotices]roster.Member
	k := 0
	for _, x := range m.Notices.All() {
		theirs[k] = roster.Member{Peer: x.Peer, ID: s.env.Book.ID(x.Peer), Inc: x.Inc, State: roster.State(x.State)}
		k++
	}
	var tell [tellAtOnce]roster.Member
	var want [wire.MaxNotices]roster.Member
	d, ok := sn.roster.Compare(m.First, m.Last, theirs[:k], roster.Difference{Tell: tell[:0], Want: want[:0]})
	if !ok {
		s.n.bad++
		return
	}
	for i := range d.Tell { // a suspect's record is told too: it refutes by itself
		if d.Tell[i].State == roster.Suspect {
			d.Tell[i].State = roster.Alive
		}
	}
	s.tell(s.in.From, d.Tell)
	for len(d.Want) > 0 {
		var w wire.Want
		k := min(len(d.Want), wire.MaxPeers)
		for _, b := range d.Want[:k] {
			w.Peers.Add(b.Peer)
		}
		d.Want = d.Want[k:]
		s.out.send(s.in.From, w.Append(s.out.begin(), s.env.Book), false)
	}
}

func (s *step) onWant() {
	sn := s.env.Super
	var m wire.Want
	if !s.parsed(m.Parse(s.in.Bytes, s.env.Book)) {
		return
	}
	var buf [wire.MaxPeers]roster.Member
	tell := buf[:0]
	for _, h := range m.Peers.All() {
		if b, ok := sn.roster.Lookup(h); ok {
			if b.State == roster.Suspect {
				b.State = roster.Alive
			}
			tell = append(tell, b)
		}
	}
	s.tell(s.in.From, tell)
}

package core

import (
	"github.com/ada420b6/overlay/internal/directory"
	"github.com/ada420b6/overlay/internal/ident"
	"github.com/ada420b6/overlay/internal/vtime"
	"github.com/ada420b6/overlay/internal/wire"
)

// This supernode's part in the directory (PROTOCOL.md section 6): it puts the records of
// its own nodes to the replicas of their zones, keeps what others put here, and looks up
// on behalf of its nodes.

// epoch keys the rendezvous hash. It is one for every network for ever: a beacon that
// changes needs login servers, which must not be needed. What protects a zone from
// members whose keys were ground for it is the cap per address group, and that a record
// is signed: a hostile replica can only withhold, and there are five.
const epoch = 0

// sweepShare is which part of the stored records is looked at for expiry when those of the
// own nodes are looked through, every 2 s: all within 9 min. One that has expired is never
// told, and takes no room that another needs.
const sweepShare = 256

// view is the roster as the directory ranks it.
type view struct {
	sn   *Supernode
	book Book
}

func (v view) Len() int { return v.sn.roster.Usable() }

func (v view) At(i int) (ident.Handle, ident.ID) { return v.sn.roster.At(i) }

func (v view) Group(h ident.Handle) ident.Group { return v.book.Group(h) }

func (s *step) startReplicas(sn *Supernode) {
	users := int(s.n.slots) + s.thinSlots() + 1
	sn.store = directory.NewStore(0, s.p.RecordRefresh)
	sn.fresh = directory.NewHeld(min(users, directory.MaxUsers), s.p.RecordRefresh)
	sn.puts = directory.NewPending(0, s.p.PutRetry)
	sn.lookups = directory.NewLookups(0, s.p.LookupHedge, s.p.LookupTimeout)
}

// view is what rankings are made from.
func (s *step) view() directory.View {
	sn := s.env.Super
	sn.ranked = view{sn: sn, book: s.env.Book}
	return directory.View{Epoch: epoch, Members: &sn.ranked, N: s.p.Replicas, GroupCap: directory.GroupCap}
}

func (s *step) replicasDue() {
	sn := s.env.Super
	if s.now >= sn.fresh.Next() {
		sn.due = sn.fresh.Due(sn.due[:0], s.now, s.view(), s.storm(), &s.n.rng)
		for i := range sn.due {
			s.putAll(sn.due[i].Name, &sn.due[i].To)
		}
		sn.store.Sweep(s.now, sn.store.Len()/sweepShare+1)
	}
	if s.now >= sn.puts.Next() {
		sn.again = sn.puts.Due(sn.again[:0], s.now)
		for _, r := range sn.again {
			if rec, ok := s.recordOf(r.Name); ok && !r.GaveUp {
				s.put(r.ID, r.To, rec, true)
			} else if ok {
				sn.fresh.Missed(r.Name, s.now, &s.n.rng)
			}
		}
	}
	if s.now >= sn.lookups.Next() {
		sn.act = sn.lookups.Due(sn.act[:0], s.now)
		s.lookingUp()
	}
}

// recordOf returns the newest record of a name that is attached here.
func (s *step) recordOf(name ident.NameID) (wire.Record, bool) {
	sn := s.env.Super
	i, ok := sn.findName(name)
	if !ok {
		return wire.Record{}, false
	}
	if sn.owners[i] == ident.None {
		return s.recordWith(ident.None), true
	}
	j, ok := sn.find(sn.owners[i])
	if !ok {
		return wire.Record{}, false
	}
	return sn.held[j].record, true
}

// tend has the directory told of a record: by the first supernode that it lists, or each
// of a node's two would put it to the same five. By the second while the tier does not
// know the first, or believes that it is dead.
func (s *step) tend(r wire.Record) {
	sn := s.env.Super
	if first := r.At[0]; first != ident.None && first != s.n.self {
		if m, ok := sn.roster.Lookup(first); ok && m.State.Usable() {
			sn.fresh.Remove(r.Name)
			return
		}
	}
	sn.fresh.Add(r.Name, s.now)
}

// putAll puts the record of a name to replicas.
func (s *step) putAll(name ident.NameID, to *directory.Ranking) {
	rec, ok := s.recordOf(name)
	if !ok {
		return
	}
	for _, h := range to.All() {
		if h == s.n.self {
			s.keep(rec)
			continue
		}
		id, _ := s.env.Super.puts.Start(name, h, s.now)
		s.put(id, h, rec, false)
	}
}

func (s *step) put(id uint32, to ident.Handle, rec wire.Record, again bool) {
	m := wire.Put{ID: id, Record: rec}
	s.out.send(to, m.Append(s.out.begin(), s.env.Book), again)
}

// keep stores a record here.
func (s *step) keep(rec wire.Record) directory.PutResult {
	s.env.Super.presence.touched(rec.Name)
	return s.env.Super.store.Put(directory.Record(rec), s.ranksFor, s.now)
}

// ranksFor reports whether this supernode is among those that hold a name's zone.
func (s *step) ranksFor(name ident.NameID) bool {
	ranking := s.env.Super.ranks.Rank(name.Zone(), s.view())
	return ranking.Has(s.n.self)
}

func (s *step) onPut() {
	sn := s.env.Super
	var m wire.Put
	if !s.parsed(m.Parse(s.in.Bytes, s.env.Book)) || m.Record.Name == 0 {
		return
	}
	a := wire.PutAck{ID: m.ID}
	if !sn.roster.Has(s.in.From) {
		// The records are signed, but who may fill the store is a matter of the tier:
		// the two find out about each other first.
		a.Status = wire.PutNotMember
		s.introduce(s.in.From)
	} else {
		switch s.keep(m.Record) {
		case directory.PutStale:
			a.Status = wire.PutStale
		case directory.PutFull:
			a.Status = wire.PutFull
		}
	}
	s.out.send(s.in.From, a.Append(s.out.begin(), s.env.Book), false)
}

func (s *step) onPutAck() {
	sn := s.env.Super
	var m wire.PutAck
	if !s.parsed(m.Parse(s.in.Bytes, s.env.Book)) {
		return
	}
	if m.Status == wire.PutNotMember {
		s.introduce(s.in.From) // and the put is sent again in its time
		return
	}
	sn.puts.Ack(m.ID, s.in.From)
}

func (s *step) onLookup() {
	var m wire.Lookup
	if !s.parsed(m.Parse(s.in.Bytes, s.env.Book)) {
		return
	}
	if _, ok := s.env.Super.find(s.in.From); !ok {
		s.sayNotAttached(0)
		return
	}
	s.superLookup(s.in.From, m.Query, m.Name, m.Floor)
}

// superLookup looks a name up for an attached node, or for this node itself when asker
// is None. Nodes attached here are found without asking anybody.
func (s *step) superLookup(asker ident.Handle, query uint32, name ident.NameID, floor uint64) {
	sn := s.env.Super
	if rec, ok := s.recordOf(name); ok && rec.Seq >= floor {
		s.tellFound(asker, query, wire.LookupFound, rec)
		return
	}
	q := directory.Query{Asker: asker, Tag: query, Name: name, Floor: floor, Ranked: sn.ranks.Rank(name.Zone(), s.view())}
	act, ok := sn.lookups.Start(sn.act[:0], q, s.now)
	sn.act = act
	if !ok {
		s.tellFound(asker, query, wire.LookupUnavailable, wire.Record{})
		return
	}
	s.lookingUp()
}

// lookingUp carries out what the look-ups want. An answer from this node's own store
// may want more, which is appended and carried out in turn.
func (s *step) lookingUp() {
	sn := s.env.Super
	for i := 0; i < len(sn.act); i++ {
		a := sn.act[i]
		switch {
		case a.To == s.n.self:
			rec, found := sn.store.Get(a.Name, s.now)
			sn.act, _ = sn.lookups.Answer(sn.act, a.ID, a.To, rec, found)
		case a.To != ident.None:
			m := wire.Get{ID: a.ID, Name: a.Name}
			s.out.send(a.To, m.Append(s.out.begin(), s.env.Book), false)
		default:
			s.tellFound(a.Asker, a.Tag, wire.LookupStatus(a.Outcome), wire.Record(a.Record))
		}
	}
	sn.act = sn.act[:0]
}

// newcomer is how long a supernode that has heard nothing from others does not trust
// its own ignorance.
const newcomer = 5 * vtime.Second

func (s *step) tellFound(asker ident.Handle, query uint32, status wire.LookupStatus, rec wire.Record) {
	if sn := s.env.Super; status == wire.LookupNone && !sn.synced && s.now.Sub(sn.since) < newcomer {
		status = wire.LookupUnavailable // it ranks first for everything, having just begun
	}
	if asker == ident.None {
		s.answered(query, status, rec)
		return
	}
	m := wire.Found{Query: query, Status: status, Record: rec}
	s.out.send(asker, m.Append(s.out.begin(), s.env.Book), false)
}

func (s *step) onGet() {
	var m wire.Get
	if !s.parsed(m.Parse(s.in.Bytes, s.env.Book)) {
		return
	}
	a := wire.Got{ID: m.ID, Status: wire.LookupNone}
	if rec, ok := s.recordOf(m.Name); ok {
		a.Status, a.Record = wire.LookupFound, rec
	} else if rec, ok := s.env.Super.store.Get(m.Name, s.now); ok {
		a.Status, a.Record = wire.LookupFound, wire.Record(rec)
	}
	s.out.send(s.in.From, a.Append(s.out.begin(), s.env.Book), false)
}

func (s *step) onGot() {
	sn := s.env.Super
	var m wire.Got
	if !s.parsed(m.Parse(s.in.Bytes, s.env.Book)) {
		return
	}
	sn.act, _ = sn.lookups.Answer(sn.act[:0], m.ID, s.in.From, directory.Record(m.Record), m.Status == wire.LookupFound)
	s.lookingUp()
}

package roster

import (
	"math/bits"

	"github.com/ada420b6/overlay/internal/ident"
	"github.com/ada420b6/overlay/internal/invariant"
	"github.com/ada420b6/overlay/internal/vtime"
)

// item is one piece of news and how often it was sent on. What has overtaken it in the
// roster makes it void; it is dropped when its turn comes.
type item struct {
	peer    ident.Handle
	inc     uint32
	accuser ident.Handle
	serial  uint32 // the order in which news came; wraps after 4 billion, harmlessly
	state   State
	sent    uint8
}

// queue is news of one kind, the next to send at the end: fewest sent, then newest. What
// has just come goes to the end without moving anything.
type queue []item

// news is what is still to be spread. There are two queues, so that the big records of a
// returning tier do not hold up the small accusations, nor the other way round.
type news struct {
	claims  queue // notices: Suspect, Dead, Left
	records queue // signed records: Alive
	serial  uint32
	budget  budget
}

func (n *news) init(p *Params, now vtime.Time) { n.budget.init(p.GossipBytes, p.GossipBytes, now) }

// push queues a piece of news.
func (n *news) push(it item) {
	n.serial++
	it.serial = n.serial
	if it.state == Alive {
		n.records = n.records.insert(it)
	} else {
		n.claims = n.claims.insert(it)
	}
}

// insert puts it at its place; what has been sent most often, and is oldest, makes room.
func (q queue) insert(it item) queue {
	if len(q) == MaxNews {
		copy(q, q[1:])
		q = q[:len(q)-1]
	}
	lo, hi := 0, len(q)
	for lo < hi {
		mid := int(uint(lo+hi) >> 1)
		if q[mid].sent > it.sent || q[mid].sent == it.sent && q[mid].serial < it.serial {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return inserted(q, lo, it)
}

// Pending returns how many pieces of news wait to be sent on.
func (r *Roster) Pending() int { return len(r.news.claims) + len(r.news.records) }

// NewsLimit returns how often one piece of news is sent on: lambda x log2(members+1),
// rounded up. At 25 000 members and the default that is 30 times.
func (r *Roster) NewsLimit() int {
	return min(lambda*bits.Len(uint(r.Usable())), 255)
}

// Next appends the news for one packet to one member to dst, within dst's capacity: as
// many as fit into room bytes, the packet's limits, and what the bytes per second allow at
// now. Those of state Alive travel as signed records and come first, the others as notices.
// Each call counts as one transmission of what it returns.
func (r *Roster) Next(now vtime.Time, room int, dst []Member) []Member {
	invariant.Check(cap(dst) > len(dst), "roster: no room for news")
	n := &r.news
	room = min(room, n.budget.available(now))
	// Notices are given up to half of the room, then records what they need, then
	// notices the rest: so neither kind can starve the other.
	claims := min(packetClaims, len(n.claims), room/2/claimBytes)
	records := min(packetRecords, len(n.records), (room-claims*claimBytes)/recordBytes)
	claims = min(packetClaims, (room-records*recordBytes)/claimBytes)

	limit := r.NewsLimit()
	dst, records = r.take(&n.records, records, limit, dst)
	dst, claims = r.take(&n.claims, claims, limit, dst)
	n.budget.spend(records*recordBytes + claims*claimBytes)
	return dst
}

// take moves up to want pieces of news from the end of q to dst. They go back into q with
// one more transmission behind them until they reach limit.
func (r *Roster) take(q *queue, want, limit int, dst []Member) ([]Member, int) {
	var again [packetClaims]item
	n := 0
	for n < want && len(*q) > 0 && len(dst) < cap(dst) {
		it := (*q)[len(*q)-1]
		*q = (*q)[:len(*q)-1]
		m, ok := r.Lookup(it.peer)
		if !ok || m.Inc != it.inc || m.State != it.state {
			continue
		}
		m.Accuser = it.accuser
		dst = append(dst, m)
		it.sent++
		again[n] = it
		n++
	}
	for _, it := range again[:n] {
		if int(it.sent) < limit {
			*q = q.insert(it)
		}
	}
	return dst, n
}

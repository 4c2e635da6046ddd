package roster

import (
	"github.com/ada420b6/overlay/internal/ident"
)

// Difference is what Compare found.
type Difference struct {
	// Tell is what the other side should hear: the signed record of those who are
	// usable, a notice of those who are dead or have left.
	Tell []Member
	// Want is what the other side has and this one lacks, or has too old: ask for the
	// signed record.
	Want []Member
	// End is how far the comparison came: the last ID of the range, or less when Tell or
	// Want was full.
	End ident.ID
}

// Compare holds another roster's Page against this one: theirs is all that it holds
// usable from first to last. It appends to into's slices, within their capacity. It
// remembers nothing: the beliefs change when the records arrive. The result is false for a
// page that is out of order or out of its range, which is a bad message; nothing is told
// then.
func (r *Roster) Compare(first, last ident.ID, theirs []Member, into Difference) (Difference, bool) {
	for i := range theirs {
		if theirs[i].ID < first || theirs[i].ID > last || i > 0 && theirs[i].ID <= theirs[i-1].ID {
			return into, false
		}
	}
	t := &r.table
	p := t.seekID(first)
	for {
		// The lower of the two next IDs; on a tie both are taken.
		ours := p < len(t.byID) && t.rows[t.byID[p]].id() <= last
		switch {
		case !ours && len(theirs) == 0:
			into.End = last
			return into, true
		case !ours || len(theirs) > 0 && theirs[0].ID < t.rows[t.byID[p]].id():
			if len(into.Want) == cap(into.Want) {
				return into.until(theirs[0].ID), true
			}
			into.Want = append(into.Want, theirs[0])
			theirs = theirs[1:]
		default:
			m := t.member(int(t.byID[p]))
			var their *Member
			if len(theirs) > 0 && theirs[0].ID == m.ID {
				their, theirs = &theirs[0], theirs[1:]
			}
			if !into.weigh(&m, their) {
				return into.until(m.ID), true
			}
			p++
		}
	}
}

// until ends a comparison before id, which found no room.
func (d Difference) until(id ident.ID) Difference {
	d.End = id - 1
	return d
}

// weigh decides who of the two has something to say about one member that is held here,
// and reports whether there was room for it.
func (d *Difference) weigh(m, their *Member) bool {
	list, say := &d.Tell, *m
	switch {
	case their == nil && !m.State.Usable():
		return true // they do not use it; they need not know why
	case their == nil || m.Inc > their.Inc:
	case their.Inc > m.Inc:
		list, say = &d.Want, *their
	case m.State.Usable():
		return true // the same; a suspicion is gossip's business
	}
	if len(*list) == cap(*list) {
		return false
	}
	*list = append(*list, say)
	return true
}

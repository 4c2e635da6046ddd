package sim

import (
	"github.com/ada420b6/overlay/internal/core"
	"github.com/ada420b6/overlay/internal/ident"
	"github.com/ada420b6/overlay/internal/wire"
)

// names watches R8: what a look-up returns was signed by the owner of the name and is
// not older than what the asker has seen.
type names struct {
	signed map[wire.Record]struct{} // every record that left its owner
	asked  map[question]asked
	seen   map[[2]uint64]uint64 // highest sequence number by asker and name
}

type asked struct {
	name  ident.NameID
	floor uint64
}

func (n *names) init() {
	n.signed = make(map[wire.Record]struct{})
	n.asked = make(map[question]asked)
	n.seen = make(map[[2]uint64]uint64)
}

// sealed notes a record that its owner sends; others only pass records on.
func (n *names) sealed(x *oracle, i uint32, kind wire.Kind, b []byte) {
	var r wire.Record
	var err error
	switch kind {
	case wire.KindAttach:
		var m wire.Attach
		err = m.Parse(b, x.book)
		r = m.Record
	case wire.KindPublish:
		var m wire.Publish
		err = m.Parse(b, x.book)
		r = m.Record
	case wire.KindPut:
		var m wire.Put
		err = m.Parse(b, x.book)
		r = m.Record
	case wire.KindFound:
		var m wire.Found
		err = m.Parse(b, x.book)
		r = m.Record
	case wire.KindGot:
		var m wire.Got
		err = m.Parse(b, x.book)
		r = m.Record
	}
	if err != nil {
		x.s.violated("book", i, "sent a %v that can't be read: %v", kind, err)
		return
	}
	if r.Owner == handle(i) {
		n.signed[r] = struct{}{}
	}
}

// question notes what an application asks.
func (n *names) question(i uint32, in *core.Input) {
	n.asked[question{i, in.Query}] = asked{in.Name, in.Floor}
}

// answer checks what an application is told.
func (n *names) answer(x *oracle, i uint32, f *core.Effect) {
	q := question{i, f.Query}
	a, ok := n.asked[q]
	delete(n.asked, q)
	r := f.Record
	switch {
	case !ok:
		x.s.violated("R8", i, "answered query %d, which was not asked or answered before", f.Query)
		return
	case wire.LookupStatus(f.Status) != wire.LookupFound:
		return
	case r.Name != a.name:
		x.s.violated("R8", i, "returned the record of another name")
	case r.Seq < a.floor:
		x.s.violated("R8", i, "returned record %d, below the floor %d", r.Seq, a.floor)
	}
	if _, ok := n.signed[r]; !ok && r.Owner != handle(i) {
		x.s.violated("R8", i, "returned a record that node %d never signed", x.s.number(index(r.Owner)))
	}
	key := [2]uint64{uint64(i), uint64(r.Name)}
	if r.Seq < n.seen[key] {
		x.s.violated("R8", i, "returned record %d after it had returned %d", r.Seq, n.seen[key])
	}
	n.seen[key] = max(n.seen[key], r.Seq)
}

package runtime

import (
	"container/list"
	"context"
	"fmt"
	"net"

	"github.com/ada420b6/overlay/internal/core"
	"github.com/ada420b6/overlay/internal/ident"
	"github.com/ada420b6/overlay/internal/stream"
	"github.com/ada420b6/overlay/internal/wire"
)

// Contact is where a name can be reached now.
type Contact struct {
	Peer stream.Peer
	Seq  uint64      // a later contact of the same name has a higher one
	Via  []ident.Key // the supernodes that hold its attachments: 0 to 2
}

// query is a look-up that is not answered yet.
type query struct {
	name string
	done func(f *finding, err error)
}

// finding is the answer to a query. It is good only while done runs: its handles may be
// forgotten afterwards.
type finding struct {
	contact Contact
	owner   ident.Handle
	at      [2]ident.Handle
}

// Lookup asks the directory where a name can be reached. It never returns a record that
// is older than one that it returned before, or that the name's owner has not signed
// (rule R8). Errors: ident.ErrName, ErrNotFound, ErrUnavailable, ctx.Err(),
// net.ErrClosed.
func (n *Node) Lookup(ctx context.Context, name string) (Contact, error) {
	if err := ident.CheckName(name); err != nil {
		return Contact{}, err
	}
	type answer struct {
		contact Contact
		err     error
	}
	answers := make(chan answer, 1)
	err := n.loop.call(ctx, func() {
		n.ask(name, func(f *finding, err error) {
			if err != nil {
				answers <- answer{err: err}
				return
			}
			answers <- answer{contact: f.contact}
		})
	})
	if err != nil {
		return Contact{}, err
	}
	select {
	case a := <-answers:
		return a.contact, a.err
	case <-ctx.Done():
		return Contact{}, ctx.Err()
	case <-n.loop.closing:
		return Contact{}, net.ErrClosed
	}
}

// ask puts a question to the machine. It must not be called from within a step.
func (n *Node) ask(name string, done func(*finding, error)) {
	n.query++
	id := ident.HashName(name)
	n.queries[n.query] = &query{name: name, done: done}
	n.loop.step(&core.Input{Kind: core.InputLookup, Query: n.query, Name: id, Floor: n.floors.get(id)})
}

// found ends a query.
func (n *Node) found(f *core.Effect) {
	q := n.queries[f.Query]
	if q == nil {
		return
	}
	delete(n.queries, f.Query)
	switch wire.LookupStatus(f.Status) {
	case wire.LookupNone:
		q.done(nil, fmt.Errorf("%w: %q", ErrNotFound, q.name))
		return
	case wire.LookupUnavailable:
		q.done(nil, fmt.Errorf("%w: %q", ErrUnavailable, q.name))
		return
	}
	x, ok := n.contactOf(f.Record)
	if !ok || x.contact.Peer.Name != q.name { // two names may have one hash
		q.done(nil, fmt.Errorf("%w: %q", ErrNotFound, q.name))
		return
	}
	n.floors.put(f.Record.Name, f.Record.Seq)
	q.done(&x, nil)
}

// contactOf returns what a record says in terms of keys.
func (n *Node) contactOf(r wire.Record) (x finding, ok bool) {
	book := n.loop.book
	x = finding{owner: r.Owner, at: r.At, contact: Contact{Seq: r.Seq}}
	if r.Owner == book.self {
		x.contact.Peer = peerOf(&book.own)
		return x, book.encoded != nil
	}
	e := book.at(r.Owner)
	if e.record.blob == nil {
		return x, false
	}
	x.contact.Peer = peerOf(&e.record.cert)
	for _, h := range r.At {
		if h != ident.None {
			x.contact.Via = append(x.contact.Via, book.at(h).key)
		}
	}
	return x, true
}

// maxFloors bounds the names whose highest sequence number is remembered: 4096 x 120 B
// = 0.5 MB. A name that fell out may be answered with an older record once.
const maxFloors = 4096

// floors remembers the highest sequence number seen per name, for the names that were
// asked for last.
type floors struct {
	order list.List // of floor, latest in front
	by    map[ident.NameID]*list.Element
}

type floor struct {
	name ident.NameID
	seq  uint64
}

func (f *floors) get(name ident.NameID) uint64 {
	e := f.by[name]
	if e == nil {
		return 0
	}
	f.order.MoveToFront(e)
	return e.Value.(floor).seq
}

func (f *floors) put(name ident.NameID, seq uint64) {
	if f.by == nil {
		f.by = make(map[ident.NameID]*list.Element)
	}
	if e := f.by[name]; e != nil {
		e.Value = floor{name, max(seq, e.Value.(floor).seq)}
		f.order.MoveToFront(e)
		return
	}
	if f.order.Len() == maxFloors {
		oldest := f.order.Back()
		delete(f.by, oldest.Value.(floor).name)
		f.order.Remove(oldest)
	}
	f.by[name] = f.order.PushFront(floor{name, seq})
}

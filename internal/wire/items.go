package wire

import (
	"github.com/ada420b6/overlay/internal/ident"
)

// What a Book reads is taken from the front of the message like any other field.

func (r *reader) peer(book Book) (h ident.Handle) {
	if r.err != nil {
		return ident.None
	}
	h, rest, err := book.ParsePeer(r.b)
	if err != nil {
		r.fail(err)
		return ident.None
	}
	r.b = rest
	return h
}

func (r *reader) id(book Book) (h ident.Handle) {
	if r.err != nil {
		return ident.None
	}
	h, rest, err := book.ParseID(r.b)
	if err != nil {
		r.fail(err)
		return ident.None
	}
	r.b = rest
	return h
}

func (r *reader) member(book Book) (m Member) {
	if r.err != nil {
		return m
	}
	m, rest, err := book.ParseMember(r.b)
	if err != nil {
		r.fail(err)
		return Member{}
	}
	r.b = rest
	return m
}

func (r *reader) record(book Book) (rec Record) {
	if r.err != nil {
		return rec
	}
	rec, rest, err := book.ParseRecord(r.b)
	if err != nil {
		r.fail(err)
		return Record{}
	}
	r.b = rest
	return rec
}

func (r *reader) application(book Book) {
	if r.err != nil {
		return
	}
	rest, err := book.ParseApplication(r.b)
	if err != nil {
		r.fail(err)
		return
	}
	r.b = rest
}

func (r *reader) certificate(book Book) {
	if r.err != nil {
		return
	}
	rest, err := book.ParseCertificate(r.b)
	if err != nil {
		r.fail(err)
		return
	}
	r.b = rest
}

package runtime

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"io"

	"github.com/ada420b6/overlay/internal/attach"
	"github.com/ada420b6/overlay/internal/core"
	"github.com/ada420b6/overlay/internal/ident"
	"github.com/ada420b6/overlay/internal/vtime"
	"github.com/ada420b6/overlay/internal/wire"
)

// A recording is what a machine was told and what it was answered, from its start on:
//
//	length 4 | JSON: policy, login servers, host cache
//	length 4 | now, input, answers of the book, effects, next deadline       one per step
//
// Replay gives the same to a fresh machine and compares. Nothing in it is secret but
// the seed of the machine's generator and what the messages say.

// recorder is a machine that records another. It is the loop's alone.
type recorder struct {
	machine machine
	book    *recordingBook
	w       *bufio.Writer
	err     error // the first failure; afterwards nothing is written
	begun   bool
}

// preamble is the first frame.
type preamble struct {
	Policy   core.Policy
	Logins   []ident.Handle
	Cache    []core.CacheEntry // those there are
	Capacity int               // how many there may be
}

func newRecorder(w io.Writer, m machine, env *core.Env) *recorder {
	r := &recorder{machine: m, book: &recordingBook{Book: env.Book}, w: bufio.NewWriter(w)}
	env.Book = r.book
	return r
}

// Step steps the machine and writes down what happened.
func (r *recorder) Step(env *core.Env, now vtime.Time, in *core.Input, out *core.Effects) {
	if !r.begun {
		r.begun = true
		b, err := json.Marshal(preamble{*env.Policy, env.Logins, env.Cache[:attach.Cache(env.Cache).Len()], len(env.Cache)})
		if err != nil {
			r.err = err
		}
		r.frame(b)
	}
	r.book.w.b = r.book.w.b[:0]
	r.machine.Step(env, now, in, out)
	var w writer
	w.num(uint64(now))
	w.input(in)
	w.bytes(r.book.w.b)
	w.effects(out)
	w.num(uint64(r.machine.Next(env)))
	r.frame(w.b)
}

// Next returns the machine's deadline.
func (r *recorder) Next(env *core.Env) vtime.Time { return r.machine.Next(env) }

// Refer marks the machine's handles.
func (r *recorder) Refer(env *core.Env, mark func(ident.Handle)) { r.machine.Refer(env, mark) }

func (r *recorder) frame(b []byte) {
	if r.err != nil {
		return
	}
	head := binary.BigEndian.AppendUint32(nil, uint32(len(b)))
	if _, r.err = r.w.Write(head); r.err == nil {
		_, r.err = r.w.Write(b)
	}
}

// flush writes what is buffered, and returns the first failure there was.
func (r *recorder) flush() error {
	if r.err == nil {
		r.err = r.w.Flush()
	}
	return r.err
}

// question is which question the book answered; a replay that asks another has diverged.
type question uint8

const (
	askAppendPeer question = iota + 1
	askParsePeer
	askAppendID
	askParseID
	askAppendMember
	askParseMember
	askAppendRecord
	askParseRecord
	askAppendApplication
	askParseApplication
	askAppendCertificate
	askParseCertificate
	askID
	askGroup
	askSlots
)

// recordingBook writes down every answer of a book.
type recordingBook struct {
	core.Book
	w writer
}

// appended writes down what was appended to b.
func (k *recordingBook) appended(q question, before int, b []byte) []byte {
	k.w.num(uint64(q))
	k.w.bytes(b[before:])
	return b
}

// parsed writes down how much was read, and whether there was an error.
func (k *recordingBook) parsed(q question, before, rest []byte, err error) {
	k.w.num(uint64(q))
	k.w.flag(err == nil)
	if err == nil {
		k.w.num(uint64(len(before) - len(rest)))
	}
}

func (k *recordingBook) AppendPeer(b []byte, h ident.Handle) []byte {
	return k.appended(askAppendPeer, len(b), k.Book.AppendPeer(b, h))
}

func (k *recordingBook) ParsePeer(b []byte) (ident.Handle, []byte, error) {
	h, rest, err := k.Book.ParsePeer(b)
	k.parsed(askParsePeer, b, rest, err)
	k.w.handle(h)
	return h, rest, err
}

func (k *recordingBook) AppendID(b []byte, h ident.Handle) []byte {
	return k.appended(askAppendID, len(b), k.Book.AppendID(b, h))
}

func (k *recordingBook) ParseID(b []byte) (ident.Handle, []byte, error) {
	h, rest, err := k.Book.ParseID(b)
	k.parsed(askParseID, b, rest, err)
	k.w.handle(h)
	return h, rest, err
}

func (k *recordingBook) AppendMember(b []byte, h ident.Handle, inc uint32) []byte {
	return k.appended(askAppendMember, len(b), k.Book.AppendMember(b, h, inc))
}

func (k *recordingBook) ParseMember(b []byte) (wire.Member, []byte, error) {
	m, rest, err := k.Book.ParseMember(b)
	k.parsed(askParseMember, b, rest, err)
	k.w.handle(m.Peer)
	k.w.num(uint64(m.Inc))
	return m, rest, err
}

func (k *recordingBook) AppendRecord(b []byte, r wire.Record) []byte {
	return k.appended(askAppendRecord, len(b), k.Book.AppendRecord(b, r))
}

func (k *recordingBook) ParseRecord(b []byte) (wire.Record, []byte, error) {
	r, rest, err := k.Book.ParseRecord(b)
	k.parsed(askParseRecord, b, rest, err)
	k.w.record(r)
	return r, rest, err
}

func (k *recordingBook) AppendApplication(b []byte) []byte {
	return k.appended(askAppendApplication, len(b), k.Book.AppendApplication(b))
}

func (k *recordingBook) ParseApplication(b []byte) ([]byte, error) {
	rest, err := k.Book.ParseApplication(b)
	k.parsed(askParseApplication, b, rest, err)
	return rest, err
}

func (k *recordingBook) AppendCertificate(b []byte, h ident.Handle) []byte {
	return k.appended(askAppendCertificate, len(b), k.Book.AppendCertificate(b, h))
}

func (k *recordingBook) ParseCertificate(b []byte) ([]byte, error) {
	rest, err := k.Book.ParseCertificate(b)
	k.parsed(askParseCertificate, b, rest, err)
	return rest, err
}

func (k *recordingBook) ID(h ident.Handle) ident.ID {
	id := k.Book.ID(h)
	k.w.num(uint64(askID))
	k.w.num(uint64(id))
	return id
}

func (k *recordingBook) Group(h ident.Handle) ident.Group {
	g := k.Book.Group(h)
	k.w.num(uint64(askGroup))
	k.w.num(uint64(g))
	return g
}

func (k *recordingBook) Slots(h ident.Handle) uint32 {
	n := k.Book.Slots(h)
	k.w.num(uint64(askSlots))
	k.w.num(uint64(n))
	return n
}

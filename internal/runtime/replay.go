package runtime

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/ada420b6/overlay/internal/core"
	"github.com/ada420b6/overlay/internal/ident"
	"github.com/ada420b6/overlay/internal/vtime"
	"github.com/ada420b6/overlay/internal/wire"
)

// maxFrame bounds a frame: a start with a roster of 200 000 members is 3 MB.
const maxFrame = 16 << 20

// ErrDiverged is the error of Replay when a machine does something else than the
// recorded one did. That is a bug: its decisions depend on something that is not in its
// input (rule R10).
var ErrDiverged = errors.New("runtime: replay diverges")

// Replay steps a fresh node with everything that Config.Record has written, and compares
// its effects with the recorded ones, byte for byte. A recording that ends in the middle
// of a step ends there. Errors: ErrDiverged, one of r, one of a damaged recording.
func Replay(r io.Reader) error {
	var first preamble
	frame, err := readFrame(r)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(frame, &first); err != nil {
		return fmt.Errorf("%w: %w", errRecording, err)
	}
	book := &replayBook{}
	cache := make([]core.CacheEntry, min(max(first.Capacity, len(first.Cache)), MaxCache))
	copy(cache, first.Cache)
	env := core.Env{Policy: &first.Policy, Book: book, Logins: first.Logins, Cache: cache}
	var n core.Node
	var out core.Effects
	for step := 0; ; step++ {
		frame, err := readFrame(r)
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := replayStep(&n, &env, book, &out, frame); err != nil {
			return fmt.Errorf("step %d: %w", step, err)
		}
	}
}

func readFrame(r io.Reader) ([]byte, error) {
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint32(head[:])
	if n > maxFrame {
		return nil, fmt.Errorf("%w: a frame of %d bytes", errRecording, n)
	}
	b := make([]byte, n)
	_, err := io.ReadFull(r, b)
	return b, err
}

func replayStep(n *core.Node, env *core.Env, book *replayBook, out *core.Effects, frame []byte) error {
	f := reader{b: frame}
	now, in, answers := vtime.Time(f.num()), f.input(), f.bytes()
	if f.bad {
		return errRecording
	}
	*book = replayBook{r: reader{b: answers}}
	out.Reset()
	n.Step(env, now, &in, out)
	var w writer
	w.effects(out)
	w.num(uint64(n.Next(env)))
	switch {
	case book.err != nil:
		return fmt.Errorf("input %d at %d: %w", in.Kind, now, book.err)
	case book.r.bad || len(book.r.b) > 0:
		return fmt.Errorf("input %d at %d: %w: %d bytes of answers were not asked for", in.Kind, now, ErrDiverged, len(book.r.b))
	case !bytes.Equal(w.b, f.b):
		return fmt.Errorf("input %d at %d: %w: %d effects differ from those recorded", in.Kind, now, ErrDiverged, len(out.List))
	}
	return nil
}

// replayBook gives the recorded answers in their order.
type replayBook struct {
	r   reader
	err error
}

// expect checks that the recorded machine asked the same.
func (k *replayBook) expect(q question) {
	if got := question(k.r.num()); got != q && k.err == nil {
		k.err = fmt.Errorf("%w: the book is asked %d where it was asked %d", ErrDiverged, q, got)
	}
}

func (k *replayBook) append(q question, b []byte) []byte {
	k.expect(q)
	return append(b, k.r.bytes()...)
}

func (k *replayBook) parse(q question, b []byte) (rest []byte, err error) {
	k.expect(q)
	if !k.r.flag() {
		return nil, errRecorded
	}
	n := k.r.num()
	if n > uint64(len(b)) {
		k.r.bad = true
		return nil, errRecorded
	}
	return b[n:], nil
}

// errRecorded stands for whatever error the recorded book returned.
var errRecorded = errors.New("runtime: recorded error")

func (k *replayBook) AppendPeer(b []byte, _ ident.Handle) []byte { return k.append(askAppendPeer, b) }
func (k *replayBook) AppendID(b []byte, _ ident.Handle) []byte   { return k.append(askAppendID, b) }

func (k *replayBook) AppendMember(b []byte, _ ident.Handle, _ uint32) []byte {
	return k.append(askAppendMember, b)
}

func (k *replayBook) AppendRecord(b []byte, _ wire.Record) []byte {
	return k.append(askAppendRecord, b)
}

func (k *replayBook) AppendApplication(b []byte) []byte { return k.append(askAppendApplication, b) }

func (k *replayBook) AppendCertificate(b []byte, _ ident.Handle) []byte {
	return k.append(askAppendCertificate, b)
}

func (k *replayBook) ParsePeer(b []byte) (ident.Handle, []byte, error) {
	rest, err := k.parse(askParsePeer, b)
	return k.r.handle(), rest, err
}

func (k *replayBook) ParseID(b []byte) (ident.Handle, []byte, error) {
	rest, err := k.parse(askParseID, b)
	return k.r.handle(), rest, err
}

func (k *replayBook) ParseMember(b []byte) (wire.Member, []byte, error) {
	rest, err := k.parse(askParseMember, b)
	return wire.Member{Peer: k.r.handle(), Inc: uint32(k.r.num())}, rest, err
}

func (k *replayBook) ParseRecord(b []byte) (wire.Record, []byte, error) {
	rest, err := k.parse(askParseRecord, b)
	return k.r.record(), rest, err
}

func (k *replayBook) ParseApplication(b []byte) ([]byte, error) {
	return k.parse(askParseApplication, b)
}

func (k *replayBook) ParseCertificate(b []byte) ([]byte, error) {
	return k.parse(askParseCertificate, b)
}

func (k *replayBook) ID(ident.Handle) ident.ID {
	k.expect(askID)
	return ident.ID(k.r.num())
}

func (k *replayBook) Group(ident.Handle) ident.Group {
	k.expect(askGroup)
	return ident.Group(k.r.num())
}

func (k *replayBook) Slots(ident.Handle) uint32 {
	k.expect(askSlots)
	return uint32(k.r.num())
}

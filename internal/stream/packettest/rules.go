package packettest

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

// addresses: the sender is who it is, and can be answered.
func addresses(p *Pair) error {
	for _, c := range []net.PacketConn{p.A, p.B} {
		if a := c.LocalAddr(); a == nil || a.Network() == "" || a.String() == "" {
			return fmt.Errorf("LocalAddr is %v", a)
		}
	}
	_, from, err := exchange(p.A, p.B, []byte("question"), p.Max)
	if err != nil {
		return err
	}
	if from.String() != p.A.LocalAddr().String() || from.Network() != p.A.LocalAddr().Network() {
		return fmt.Errorf("the sender is %v, not %v", from, p.A.LocalAddr())
	}
	if _, err := p.B.WriteTo([]byte("answer"), from); err != nil {
		return fmt.Errorf("the sender %v can't be answered: %w", from, err)
	}
	_, from, err = exchange(p.B, p.A, []byte("answer"), p.Max)
	if err == nil && from.String() != p.B.LocalAddr().String() {
		err = fmt.Errorf("the answer is from %v, not %v", from, p.B.LocalAddr())
	}
	return err
}

// payloads: every size arrives as it was when it was written.
func payloads(p *Pair) error {
	for _, size := range []int{1, 2, 100, p.Max - 1, p.Max, 0} {
		sent := bytes.Repeat([]byte{byte(size)}, size)
		if size > 2 {
			sent[0], sent[size-1] = 'a', 'z'
		}
		payload := bytes.Clone(sent)
		got, _, err := exchange(p.A, p.B, payload, p.Max)
		if err != nil {
			return err
		}
		clear(payload)
		if !bytes.Equal(got, sent) {
			return fmt.Errorf("%d bytes came of %d, or changed", len(got), size)
		}
		if _, err := drain(p.B); err != nil { // in case it was sent twice
			return err
		}
	}
	reused := []byte("before")
	if err := send(p.A, p.B, reused); err != nil {
		return err
	}
	copy(reused, "after!")
	got, err := drain(p.B)
	if err == nil && len(got) > 0 && string(got[0]) != "before" {
		err = fmt.Errorf("WriteTo keeps the caller's memory: %q came", got[0])
	}
	return err
}

// shortBuffer: what does not fit is cut off, and is not the next datagram.
func shortBuffer(p *Pair) error {
	got, _, err := exchange(p.A, p.B, []byte("a long one"), 3)
	if err != nil {
		return err
	}
	if string(got) != "a l" {
		return fmt.Errorf("%q came into 3 bytes", got)
	}
	if got, _, err = exchange(p.A, p.B, []byte("next"), p.Max); err != nil {
		return err
	}
	if string(got) != "next" && string(got) != "a long one" { // which was repeated
		return fmt.Errorf("after a datagram that was cut off came %q", got)
	}
	return nil
}

// oversize: an error at once, and no harm to what follows.
func oversize(p *Pair) error {
	n, err := p.A.WriteTo(make([]byte, p.Max+1), p.B.LocalAddr())
	if n != 0 || !errors.Is(err, syscall.EMSGSIZE) {
		return fmt.Errorf("WriteTo of %d bytes: %d, %v", p.Max+1, n, err)
	}
	_, _, err = exchange(p.A, p.B, []byte("small"), p.Max)
	return err
}

type foreign struct{}

func (foreign) Network() string { return "foreign" }
func (foreign) String() string  { return "nowhere" }

// badAddress: an error, not a panic.
func badAddress(p *Pair) error {
	for _, to := range []net.Addr{nil, foreign{}} {
		if n, err := p.A.WriteTo([]byte("x"), to); n != 0 || err == nil {
			return fmt.Errorf("WriteTo %v: %d, %v", to, n, err)
		}
	}
	return nil
}

// readDeadline: it ends reads that wait and those that follow, can be moved and taken away,
// and loses nothing.
func readDeadline(p *Pair) error {
	expired := func(what string) error {
		if _, _, err := p.B.ReadFrom(make([]byte, 10)); !errors.Is(err, os.ErrDeadlineExceeded) || !timeout(err) {
			return fmt.Errorf("%s: %v", what, err)
		}
		return nil
	}
	begun := time.Now()
	const wait = 50 * time.Millisecond
	if err := errors.Join(p.B.SetReadDeadline(begun.Add(wait)), expired("a read beyond its deadline")); err != nil {
		return err
	}
	if took := time.Since(begun); took < wait {
		return fmt.Errorf("a deadline of %v ended a read after %v", wait, took)
	}
	if err := errors.Join(expired("a read after it"), p.B.SetDeadline(time.Now().Add(-time.Second)), expired("a read with a deadline long gone")); err != nil {
		return err
	}
	// It is moved under a read that waits.
	if err := p.B.SetReadDeadline(time.Now().Add(time.Hour)); err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- expired("a read whose deadline was moved") }()
	time.AfterFunc(wait, func() { _ = p.B.SetReadDeadline(time.Unix(1, 0)) })
	if err := within(ended); err != nil {
		return err
	}
	// What comes meanwhile is there afterwards.
	if err := errors.Join(send(p.A, p.B, []byte("kept")), expired("a read with a datagram waiting"), p.B.SetDeadline(time.Time{})); err != nil {
		return err
	}
	_, _, err := exchange(p.A, p.B, []byte("kept"), p.Max)
	return err
}

func writeDeadline(p *Pair) error {
	if err := p.A.SetWriteDeadline(time.Unix(1, 0)); err != nil {
		return err
	}
	if _, err := p.A.WriteTo([]byte("x"), p.B.LocalAddr()); !errors.Is(err, os.ErrDeadlineExceeded) || !timeout(err) {
		return fmt.Errorf("a write after its deadline: %v", err)
	}
	if err := p.A.SetWriteDeadline(time.Time{}); err != nil {
		return err
	}
	_, _, err := exchange(p.A, p.B, []byte("x"), p.Max)
	return err
}

// closing: it ends reads that wait, and everything afterwards.
func closing(p *Pair) error {
	ended := make(chan error, 2)
	for range cap(ended) {
		go func() {
			_, _, err := p.A.ReadFrom(make([]byte, 10))
			ended <- isClosed("a read that waited", err)
		}()
	}
	time.AfterFunc(20*time.Millisecond, func() { ended <- p.A.Close() })
	for range 3 {
		if err := within(ended); err != nil {
			return err
		}
	}
	_, _, err := p.A.ReadFrom(make([]byte, 10))
	_, werr := p.A.WriteTo([]byte("x"), p.B.LocalAddr())
	if again := p.A.Close(); again != nil && !errors.Is(again, net.ErrClosed) {
		return fmt.Errorf("closed: Close again: %w", again)
	}
	return errors.Join(isClosed("a read", err), isClosed("a write", werr))
}

func isClosed(what string, err error) error {
	if !errors.Is(err, net.ErrClosed) {
		return fmt.Errorf("closed: %s: %v", what, err)
	}
	return nil
}

// within waits for an end that must come.
func within(ended chan error) error {
	late := time.NewTimer(patience)
	defer late.Stop()
	select {
	case err := <-ended:
		return err
	case <-late.C:
		return fmt.Errorf("a call has not ended in %v", patience)
	}
}

// order: what arrives comes once, and in the order in which it was sent.
func order(p *Pair) error {
	last := uint64(0)
	for i := uint64(1); i <= 2000; i++ {
		if err := send(p.A, p.B, numbered(i)); err != nil {
			return err
		}
		if i%20 != 0 {
			continue
		}
		for last < i { // as fast as they arrive, so that no queue is full
			if err := p.B.SetReadDeadline(time.Now().Add(again)); err != nil {
				return err
			}
			buf := make([]byte, p.Max)
			n, _, err := p.B.ReadFrom(buf)
			if timeout(err) {
				break // the last one is lost
			}
			if err != nil {
				return err
			}
			if got := number(buf[:n]); got <= last {
				return fmt.Errorf("datagram %d came after %d", got, last)
			} else {
				last = got
			}
		}
	}
	if last < 1000 {
		return fmt.Errorf("nothing came after datagram %d of 2000", last)
	}
	return nil
}

// concurrent: several goroutines read and write at once, and no datagram comes twice.
func concurrent(p *Pair) error {
	const writers, each = 4, 200
	if _, _, err := exchange(p.A, p.B, numbered(1<<40), p.Max); err != nil { // there is a way
		return err
	}
	if _, err := drain(p.B); err != nil {
		return err
	}
	var mu sync.Mutex
	seen := make(map[uint64]bool)
	errs := make(chan error, 2*writers)
	var reading, writing sync.WaitGroup
	for range writers {
		reading.Go(func() {
			buf := make([]byte, p.Max)
			for {
				n, _, err := p.B.ReadFrom(buf)
				if errors.Is(err, os.ErrDeadlineExceeded) {
					return
				}
				if err != nil {
					errs <- err
					return
				}
				mu.Lock()
				if i := number(buf[:n]); seen[i] {
					errs <- fmt.Errorf("datagram %d came twice", i)
				} else {
					seen[i] = true
				}
				mu.Unlock()
			}
		})
	}
	for w := range uint64(writers) {
		writing.Go(func() {
			for i := range uint64(each) {
				if err := send(p.A, p.B, numbered(w<<32|i)); err != nil {
					errs <- err
					return
				}
			}
		})
	}
	writing.Wait()
	if err := p.B.SetReadDeadline(time.Now().Add(4 * again)); err != nil {
		return err
	}
	reading.Wait()
	close(errs)
	for err := range errs {
		return err
	}
	if len(seen) == 0 {
		return errors.New("nothing came")
	}
	return nil
}

// lossIsCounted: of more datagrams than any queue holds, each has come or is counted.
func lossIsCounted(p *Pair) error {
	if p.Lost == nil {
		return nil
	}
	const marker = 1 << 32 // until it has come, what was lost before it may not be known
	for round := 0; ; round++ {
		if err := send(p.A, p.B, numbered(marker)); err != nil {
			return err
		}
		if got, err := drain(p.B); err != nil {
			return err
		} else if len(got) > 0 && number(got[len(got)-1]) == marker {
			break
		} else if round == 12 {
			return errors.New("nothing arrives")
		}
	}
	before := p.Lost()
	sent, came := uint64(0), uint64(0)
	for ; sent < 5000; sent++ {
		if err := send(p.A, p.B, numbered(sent)); err != nil {
			return err
		}
	}
	for round := 0; ; round++ { // one that comes last shows what is missing before
		got, err := drain(p.B)
		if err != nil {
			return err
		}
		came += uint64(len(got))
		if lost := p.Lost() - before; came+lost == sent && len(got) > 0 && number(got[len(got)-1]) == sent-1 {
			return nil
		} else if round == 12 || came+lost > sent {
			return fmt.Errorf("of %d datagrams %d came and %d are counted as lost", sent, came, lost)
		}
		if err := send(p.A, p.B, numbered(sent)); err != nil {
			return err
		}
		sent++
	}
}

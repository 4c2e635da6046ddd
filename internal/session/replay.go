package session

// windowSize is how far behind the newest counter a packet may arrive: 1024 packets
// are 17 words (136 B) per session with the spare word. At the 100 packets a second of
// a busy relay control channel that is 10 s of reordering.
const windowSize = 1024

// windowWords holds windowSize bits and one word more: the word that the newest counter
// has just entered is still partly in the future (RFC 6479).
const windowWords = windowSize/64 + 1

// window remembers which counters were seen. The zero value has seen none.
type window struct {
	next uint64 // one more than the newest counter seen
	bits [windowWords]uint64
}

// fresh reports whether counter was not seen and is not too old to tell.
func (w *window) fresh(counter uint64) bool {
	if counter >= w.next {
		return true
	}
	if w.next-counter > windowSize {
		return false
	}
	return w.bits[counter/64%windowWords]&(1<<(counter%64)) == 0
}

// mark remembers a fresh counter and reports whether it is the newest so far. Only an
// authenticated packet may be marked: a forged counter would move the window.
func (w *window) mark(counter uint64) (newest bool) {
	if counter >= w.next {
		newest = true
		w.advance(counter / 64)
		w.next = counter + 1
	}
	w.bits[counter/64%windowWords] |= 1 << (counter % 64)
	return newest
}

// advance clears the words after the newest counter's up to word: they still hold
// counters that have left the window.
func (w *window) advance(word uint64) {
	if w.next == 0 {
		return // nothing was ever set
	}
	at := (w.next - 1) / 64
	for n := min(word-at, windowWords); n > 0; n-- {
		w.bits[(at+n)%windowWords] = 0
	}
}

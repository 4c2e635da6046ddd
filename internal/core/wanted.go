package core

import (
	"github.com/ada420b6/overlay/internal/ident"
	"github.com/ada420b6/overlay/internal/vtime"
)

// wanted is whose signed records a supernode has asked for just now: a suspicion of
// somebody who is not known comes from many at once, and one answer is enough.
type wanted [8]struct {
	peer ident.Handle
	at   vtime.Time
}

// wantAgain is after what time the answer must be lost: two round trips.
const wantAgain = vtime.Second / 2

// once reports whether the record of h is not being waited for, and notes that it is from
// now on. The place of the oldest goes to the newest.
func (w *wanted) once(h ident.Handle, now vtime.Time) bool {
	oldest := 0
	for i := range w {
		if w[i].peer == h && now.Sub(w[i].at) < wantAgain {
			return false
		}
		if w[i].at < w[oldest].at {
			oldest = i
		}
	}
	w[oldest].peer, w[oldest].at = h, now
	return true
}

package attach

import (
	"github.com/ada420b6/overlay/internal/vtime"
)

// Budget bounds the healing packets of a node (rule R2): at most `perMinute` in any 60
// seconds, whatever happens. It is a token bucket that holds half of the bound and gains
// half of it a minute, so that no window of a minute can see more than the whole.
type Budget struct {
	spent int32      // tokens missing
	ever  uint32     // packets since the start
	at    vtime.Time // when spent was true
}

func burst(perMinute int) int32 { return int32(perMinute - perMinute/2) }

// period is how long one token takes to come back.
func period(perMinute int) vtime.Duration {
	return vtime.Minute / vtime.Duration(max(1, perMinute/2))
}

// Left returns how many packets may be sent now.
func (b *Budget) Left(now vtime.Time, perMinute int) int {
	p := period(perMinute)
	if back := int32(min(int64(now.Sub(b.at)/p), int64(b.spent))); back > 0 {
		b.spent -= back
		b.at = b.at.Add(vtime.Duration(back) * p)
	}
	if b.spent == 0 {
		b.at = now
	}
	return int(burst(perMinute) - b.spent)
}

// Spend takes n tokens. The caller has asked Left.
func (b *Budget) Spend(n int) {
	b.spent += int32(n)
	b.ever += uint32(n)
}

// Ever returns how many packets were sent since the start.
func (b *Budget) Ever() uint32 { return b.ever }

// Next returns when n tokens will be there; n is at most half of perMinute.
func (b *Budget) Next(now vtime.Time, perMinute, n int) vtime.Time {
	left := b.Left(now, perMinute)
	if left >= n {
		return now
	}
	return b.at.Add(vtime.Duration(n-left) * period(perMinute))
}

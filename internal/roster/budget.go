package roster

import (
	"github.com/ada420b6/overlay/internal/vtime"
)

// budget is a token bucket in integers: the level counts billionths of a byte, so that no
// refill, however small, is lost to rounding.
type budget struct {
	rate  int64 // bytes a second
	burst int64 // bytes
	level int64 // billionths of a byte
	at    vtime.Time
}

const billion = int64(vtime.Second)

func (b *budget) init(rate, burst int, now vtime.Time) {
	*b = budget{rate: int64(rate), burst: int64(burst), level: int64(burst) * billion, at: now}
}

// available returns how many bytes may be spent at now. A now that is earlier than the
// last one refills nothing.
func (b *budget) available(now vtime.Time) int {
	full := b.burst * billion
	elapsed := int64(now.Sub(b.at))
	if elapsed > 0 {
		// Divided before it is multiplied, so that a long pause can't overflow.
		if b.rate > 0 && elapsed > (full-b.level)/b.rate {
			b.level = full
		} else {
			b.level += elapsed * b.rate
		}
		b.at = now
	}
	return int(b.level / billion)
}

// spend takes bytes that available has granted.
func (b *budget) spend(bytes int) { b.level -= int64(bytes) * billion }

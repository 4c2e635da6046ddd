package slots

import (
	"encoding/binary"
	"math"

	"github.com/dchest/siphash"

	"github.com/ada420b6/overlay/internal/ident"
)

// demandSpan is how many seconds of probes demand is measured over.
const demandSpan = 5

// demand measures how many of every five slots ticket holders ask for. It counts probes,
// and a node probes two supernodes, so it errs in their favour.
type demand struct {
	mark   int64 // slot at which the present measurement began
	probes int64
	fifths int64 // of the slots, reserved by the last measurement
}

func (d *demand) count(rate int64, most int) {
	d.probes++
	// A storm of ticket holders that begins now is not to wait for the measurement.
	d.fifths = max(d.fifths, min(int64(most), d.probes/rate))
}

// roll ends the measurement after demandSpan seconds and reports whether the share fell.
func (d *demand) roll(cur, rate int64, most int) bool {
	if cur-d.mark < demandSpan*rate {
		return false
	}
	// p probes in 5 s are p/(5 rate) of the slots, or p/rate fifths of them.
	now := min(int64(most), d.probes/rate)
	fell := now < d.fifths
	*d = demand{mark: cur, fifths: now}
	return fell
}

// The size of the sketch: at 20 a second a horizon has 1 200 offers, so a cell of 512
// holds two or three by chance where a limit is 60. Two rows x 512 x 2 B = 2 kB.
const (
	sketchRows  = 2
	sketchCells = 512
)

// sketch counts slots given to address groups, in fixed memory whatever the number of
// groups: it may count too much for one that shares both its cells, never too little.
type sketch struct {
	mark  int64 // slot at which the present horizon began
	cells [sketchRows][sketchCells]uint16
}

// places returns the cells of a group, keyed so that nobody can aim at another's.
func (*sketch) places(secret [2]uint64, g ident.Group) [sketchRows]int {
	var b [4]byte
	binary.LittleEndian.PutUint32(b[:], uint32(g))
	h := siphash.Hash(secret[1], secret[0], b[:])
	return [sketchRows]int{int(h % sketchCells), int(h >> 32 % sketchCells)}
}

func (s *sketch) count(secret [2]uint64, g ident.Group) int64 {
	p := s.places(secret, g)
	return int64(min(s.cells[0][p[0]], s.cells[1][p[1]]))
}

func (s *sketch) add(secret [2]uint64, g ident.Group) {
	for row, i := range s.places(secret, g) {
		if s.cells[row][i] < math.MaxUint16 {
			s.cells[row][i]++
		}
	}
}

// roll forgets all counts once a horizon.
func (s *sketch) roll(cur, span int64) {
	if cur-s.mark >= span {
		*s = sketch{mark: cur}
	}
}

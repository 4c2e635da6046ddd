package tier

import (
	"math/bits"

	"github.com/ada420b6/overlay/internal/seed"
	"github.com/ada420b6/overlay/internal/vtime"
)

// Report is the tier as a supernode sees it and tells its nodes.
type Report struct {
	Util       Load
	Supernodes uint32 // believed alive
	Eligible   uint32 // nodes known to be able to become one
}

// Node is an eligible node's side of the decision: 24 B. It draws at most once per period
// and only on news: drawing twice on one report would answer one need twice. Of several
// reports in a period it believes the one with the least odds, so one of its supernodes
// alone can't talk it into the tier.
type Node struct {
	next  vtime.Time
	heard Report
	news  bool
}

// Start puts the first draw at a random point of a period, so that nodes that start
// together do not draw together.
func (n *Node) Start(p *Policy, now vtime.Time, r *seed.Rand) {
	*n = Node{next: now.Add(vtime.Duration(r.Between(0, int64(p.Period))))}
}

// Hear takes a supernode's report.
func (n *Node) Hear(p *Policy, rep Report) {
	if n.news && !less(n.odds(p, rep), n.odds(p, n.heard)) {
		return
	}
	n.heard, n.news = rep, true
}

// Who has been up at one address for long is likelier to stay: of Skype's supernodes 17 %
// of those younger than an hour were up a day later, and 74 % of those older than three
// days. So others have a quarter of the odds, unless the tier is pressed: a rule that kept
// them out would keep a network down whose machines have all rebooted.
const (
	newcomerShare = 4
	pressed       = 115 // utilisation of 0.9
)

// Draw reports whether the node promotes itself now. settled says that it has been
// reachable at one address for a while. It is the caller's to call at Next.
func (n *Node) Draw(p *Policy, settled bool, now vtime.Time, r *seed.Rand) bool {
	if now < n.next || !n.news {
		return false
	}
	n.next = now.Add(p.Period)
	n.news = false
	o := n.odds(p, n.heard)
	if !settled && n.heard.Util <= pressed {
		o.Den *= newcomerShare
	}
	return o.Draw(r)
}

// Next returns when Draw has something to do: Never while there is no news.
func (n *Node) Next() vtime.Time {
	if !n.news {
		return vtime.Never
	}
	return n.next
}

// odds bounds what a report can ask for, since its numbers are a stranger's: no claim of a
// huge tier or of few candidates makes a node's odds more than Gain.
func (*Node) odds(p *Policy, rep Report) Odds {
	return p.Promote(rep.Util, int(min(rep.Supernodes, rep.Eligible)), int(rep.Eligible))
}

// less compares two odds exactly: their cross products take up to 89 bits.
func less(a, b Odds) bool {
	if a.Num == 0 || b.Num == 0 {
		return a.Num == 0 && b.Num > 0
	}
	ahi, alo := bits.Mul64(uint64(a.Num), uint64(b.Den))
	bhi, blo := bits.Mul64(uint64(b.Num), uint64(a.Den))
	return ahi < bhi || ahi == bhi && alo < blo
}

package core

import (
	"github.com/ada420b6/overlay/internal/attach"
	"github.com/ada420b6/overlay/internal/ident"
	"github.com/ada420b6/overlay/internal/vtime"
)

// Standing is what a node waits for, told to whoever looks at a rehearsal from outside. No
// decision of the protocol is made here, and the runtime does not come here.
type Standing struct {
	// The search for an attachment.
	Phase  attach.Phase
	Until  vtime.Time   // when it goes on at the latest; Never when Idle
	Slot   ident.Handle // of Holding and Joining: at whom
	Asked  int          // of Asking: how many
	Silent int          // and how many of these have not answered
	InVain int          // rounds in a row that brought no attachment, 254 at most
	Budget int          // packets that it may send now
	Spent  bool         // these are too few for a round

	// Unsure is which attachments have not answered a check that is out.
	Unsure [2]bool

	// The way to a certificate.
	Needs    bool // it can't attach before a login server has answered
	Applies  bool // a request is out; else the next one is due
	LoginAt  vtime.Time
	Leaving  bool
	LeavesBy vtime.Time // of a supernode that leaves, else Never
}

// Standing tells what the node waits for at now.
func (n *Node) Standing(env *Env, now vtime.Time) Standing {
	budget := n.budget // asking it brings it up to date
	left := budget.Left(now, env.Policy.PacketBudget)
	t := Standing{
		Phase: n.seek.Phase, Until: n.seek.Deadline(), InVain: int(n.fruitless),
		Budget: left, Spent: left < n.roundCost(env),
		Needs:   !n.certified || env.Policy.LoginFirst && n.login.phase != enrolled,
		Applies: n.login.phase == applying, LoginAt: n.login.deadline(),
		Leaving: n.leaving, LeavesBy: vtime.Never,
	}
	switch t.Phase {
	case attach.Asking:
		t.Asked = len(n.seek.Asked())
		for i := range t.Asked {
			if n.seek.Silent(i) {
				t.Silent++
			}
		}
	case attach.Holding, attach.Joining:
		t.Slot = n.seek.Held().Peer
	}
	for i := range n.at {
		t.Unsure[i] = n.at[i].alive.Asked()
	}
	if env.Super != nil {
		t.LeavesBy = env.Super.leaveBy
	}
	return t
}

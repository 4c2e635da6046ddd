package session

import "pgregory.net/rapid"

// audit checks what must be true of a table between any two calls.
func audit(t rapid.TB, table *Table) {
	t.Helper()
	sessions, current, pending := 0, 0, 0
	hold := func(p *peer, s *session, wantPending bool) {
		if s == nil {
			return
		}
		sessions++
		if s.peer != p || table.sessions[s.index] != s {
			t.Fatal("a session is lost")
		}
		if (s.pending != nil) != wantPending {
			t.Fatal("a session is in the wrong place")
		}
		if !wantPending {
			return
		}
		pending++
		if !s.initiator && s.pending.budget < 0 {
			t.Fatalf("%d B too many went to an unproven address", -s.pending.budget)
		}
	}
	for k, p := range table.peers {
		if p.key != k {
			t.Fatal("a peer is under another's key")
		}
		before := sessions
		hold(p, p.current, false)
		hold(p, p.previous, false)
		for i := range 2 {
			hold(p, p.calling[i], true)
			hold(p, p.unconfirmed[i], true)
		}
		if p.current != nil {
			current++
		}
		switch {
		case sessions == before:
			t.Fatal("a peer without a session is kept")
		case p.previous != nil && p.current == nil:
			t.Fatal("a replaced session outlived its successor")
		case len(p.queue) > maxQueue || len(p.queue) > 0 && p.calling[0] == nil && p.unconfirmed[0] == nil:
			t.Fatal("a queue that nothing will empty")
		}
	}
	if sessions != len(table.sessions) || current != table.Len() || pending != table.pending.n {
		t.Fatalf("%d of %d sessions, %d of %d current, %d of %d pending are held by a peer",
			sessions, len(table.sessions), current, table.Len(), pending, table.pending.n)
	}
	if table.Len() > table.maxSessions || pending > table.maxPending || len(table.seen.seen) != len(table.seen.ring) {
		t.Fatal("a table is over its limit")
	}
}

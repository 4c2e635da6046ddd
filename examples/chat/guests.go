package main

import (
	"bufio"
	"io"
	"sync"
)

const (
	// maxGuests bounds the conversations that others begin and that are under way, of each
	// service, and maxOfOne those of one name: who opens many and says nothing leaves room
	// for others.
	maxGuests = 32
	maxOfOne  = maxGuests / 2
	// maxAnswers bounds what is read of the other side in answer to what is sent to it: it
	// may be a program that never ends its line.
	maxAnswers = 1 << 10
)

// guests counts the conversations that each name has begun.
type guests struct {
	mu sync.Mutex
	by map[string]int // at most maxGuests
}

// enter reports whether there is room for one more of a name. If so, leave ends it.
func (g *guests) enter(name string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.by == nil {
		g.by = make(map[string]int)
	}
	if g.by[name] == maxOfOne {
		return false
	}
	g.by[name]++
	return true
}

func (g *guests) leave(name string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.by[name]--; g.by[name] == 0 {
		delete(g.by, name)
	}
}

// answersOf returns what the other side says to what it is sent.
func answersOf(conn io.Reader) *bufio.Reader {
	return bufio.NewReader(io.LimitReader(conn, maxAnswers))
}

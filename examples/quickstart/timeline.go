package main

import (
	"fmt"
	"io"
	"os"
	"time"
)

// timeline tells what happens as it happens, with the seconds since the start.
type timeline struct {
	out   io.Writer
	start time.Time
	live  bool // a progress line stands unfinished
	tty   bool
}

// newTimeline tells on stdout, or on stderr when stdout is for JSON.
func newTimeline(stderr, stdout io.Writer, json bool) *timeline {
	t := &timeline{out: stdout, start: time.Now()}
	if json {
		t.out = stderr
	}
	if f, ok := t.out.(*os.File); ok {
		fi, err := f.Stat()
		t.tty = err == nil && fi.Mode()&os.ModeCharDevice != 0
	}
	return t
}

// say begins a new line.
func (t *timeline) say(format string, args ...any) {
	t.end()
	fmt.Fprintf(t.out, "%6.1f s  %s\n", time.Since(t.start).Seconds(), fmt.Sprintf(format, args...))
}

// progress overwrites the last progress line; on what is no terminal it says nothing.
func (t *timeline) progress(format string, args ...any) {
	if !t.tty {
		return
	}
	fmt.Fprintf(t.out, "\r%6.1f s  %s\x1b[K", time.Since(t.start).Seconds(), fmt.Sprintf(format, args...))
	t.live = true
}

func (t *timeline) end() {
	if t.live {
		fmt.Fprint(t.out, "\r\x1b[K")
		t.live = false
	}
}

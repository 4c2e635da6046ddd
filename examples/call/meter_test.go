package main

import (
	"strings"
	"testing"
	"time"
)

// TestMeter plays a second of an even stream, one with a gap, and a silent one.
func TestMeter(t *testing.T) {
	began := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	m := newMeter(began)
	now, number := began, uint32(0)
	play := func(n int) {
		for range n {
			now = now.Add(pace)
			number++
			m.packet(now, number)
		}
	}
	play(49)
	if got, want := m.line(began.Add(time.Second)), "    1 s  49 of 50  gap    20 ms  ▁▁▁▁▁▁▁▁▁▁"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	play(15)
	now, number = now.Add(300*ms), number+15
	play(20)
	if got, want := m.line(began.Add(2*time.Second)), "    2 s  35 of 50  gap   320 ms  ▁▁▁   ▅▁▁▁"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if got, want := m.line(began.Add(3*time.Second)), "    3 s   0 of 50  silent   1 s            "; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	m.packet(now.Add(pace), number-25) // one that was passed over
	summary := m.summary("bob")
	for _, want := range []string{"heard of bob: 85 datagrams, 14 missing, 1 late", "more than 200ms          1", "largest gap: 320 ms, 2 s after"} {
		if !strings.Contains(summary, want) {
			t.Errorf("no %q in\n%s", want, summary)
		}
	}
	m.packet(now.Add(2*pace), 1<<20) // far ahead, and then a caller who begins anew
	before := m.missing
	m.packet(now.Add(3*pace), 1)
	m.packet(now.Add(4*pace), 2)
	if m.missing != before || m.number != 2 {
		t.Errorf("%d are missing, %d before a new run; the last is %d", m.missing, before, m.number)
	}
}

func TestMarksFitSteps(t *testing.T) {
	if len(marks) != len(steps) {
		t.Fatalf("%d marks for %d steps", len(marks), len(steps))
	}
	for i, from := range steps {
		if i > 0 && height(from) != i-1 || height(from+1) != i {
			t.Errorf("a gap of %v has height %d, one a little longer %d", from, height(from), height(from+1))
		}
	}
}

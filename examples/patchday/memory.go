package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/ada420b6/overlay"
)

// fits is an error when the machine has too little memory for what c asks for: it is told
// before the run, not by the system in the middle of it. Where the system does not say what
// it has, everything fits.
func fits(c config) error {
	free, err := memory("/proc/meminfo", "MemAvailable:")
	if err != nil {
		return nil
	}
	return enough(c, free)
}

func enough(c config, free int64) error {
	runs := int64(len(policies[c.policy]))
	need := func(nodes int) int64 { return runs * overlay.SimulationMemory(nodes) }
	if need(c.nodes) <= free {
		return nil
	}
	fit := c.nodes
	for step := fit / 2; step > 0; step /= 2 {
		if need(fit-step) > free {
			fit -= step
		}
	}
	const gib = 1 << 30
	return fmt.Errorf("-nodes %d: %d policies of so many need about %.1f GiB of memory, and %.1f GiB are free; -nodes %d would fit",
		c.nodes, runs, float64(need(c.nodes))/gib, float64(free)/gib, max(fit-1, 1))
}

// peakRSS is the most memory that this process, with all its runs, has ever had in
// bytes; an error where the system does not tell.
func peakRSS() (int64, error) { return memory("/proc/self/status", "VmHWM:") }

// memory is a line of a file of the system that says so many kB, in bytes.
func memory(file, key string) (int64, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return 0, err
	}
	for _, line := range strings.Split(string(text), "\n") {
		if value, ok := strings.CutPrefix(line, key); ok {
			kb, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(value, "kB")), 10, 64)
			return kb << 10, err
		}
	}
	return 0, fmt.Errorf("there is no %s in %s", key, file)
}

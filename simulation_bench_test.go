package overlay_test

import (
	"testing"
	"time"

	"github.com/ada420b6/overlay"
)

// BenchmarkSimulationHour is an hour of 1000 nodes, as a user's own test would simulate
// it, with every rule watched and every node's history kept: at rest, and with a patch day
// in its middle.
func BenchmarkSimulationHour(b *testing.B) {
	for _, day := range []struct {
		name     string
		fraction float64
	}{{"rest", 0}, {"patchday", 0.3}} {
		b.Run(day.name, func(b *testing.B) {
			b.ReportAllocs()
			events := uint64(0)
			for range b.N {
				s, err := overlay.NewSimulation(1)
				if err != nil {
					b.Fatal(err)
				}
				s.Add(1000)
				if err := s.Run(30 * time.Minute); err != nil {
					b.Fatal(err)
				}
				s.Reboot(day.fraction, 5*time.Minute, 2*time.Minute)
				if err := s.Run(30 * time.Minute); err != nil {
					b.Fatal(err)
				}
				events += s.Census().Events
			}
			b.ReportMetric(float64(events)/float64(b.N), "events/op")
		})
	}
}

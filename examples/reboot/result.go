package main

import (
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"time"
)

// What a network on real processes must do after a power cut.
const (
	aimAttached = 15.0 // s from the last start until every node is attached
	aimPackets  = 30   // sent by one node to become attached
	aimMiB      = 200  // most memory that one process ever had
)

// result is what -json prints. Times count from the last start of a process.
type result struct {
	Nodes            int       `json:"nodes"`
	Processes        int       `json:"processes"`
	JoinS            float64   `json:"join_s"` // from nothing until the tier had formed
	Supernodes       int       `json:"supernodes"`
	KilledProcesses  int       `json:"killed_processes"`
	Killed           int       `json:"killed"` // nodes
	SupernodesKilled int       `json:"supernodes_killed"`
	Attached         int       `json:"attached"`
	SupernodesAfter  int       `json:"supernodes_after"`
	AttachedP50      float64   `json:"attached_p50_s"` // by the node's own word, for good
	AttachedP99      float64   `json:"attached_p99_s"`
	AttachedMax      float64   `json:"attached_max_s"`
	CalledP50        float64   `json:"called_p50_s"` // it answered a call by its name
	CalledP99        float64   `json:"called_p99_s"`
	CalledMax        float64   `json:"called_max_s"`
	PacketsMean      float64   `json:"packets_mean"` // sent to become attached, since the kill
	PacketsMax       int       `json:"packets_max"`
	PeakMiB          []float64 `json:"peak_mib"` // of each process
}

// missed returns an error for every aim that was missed.
func (r *result) missed() error {
	var errs []error
	miss := func(is bool, format string, args ...any) {
		if is {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	miss(r.Attached != r.Nodes, "%d of %d nodes are attached", r.Attached, r.Nodes)
	miss(r.AttachedMax > aimAttached, "the last node was attached %.1f s after the last start, %.0f s are allowed", r.AttachedMax, aimAttached)
	miss(r.PacketsMax > aimPackets, "a node sent %d packets to become attached, %d are allowed", r.PacketsMax, aimPackets)
	peak := slices.Max(r.PeakMiB)
	miss(peak > aimMiB, "a process took %.0f MiB, %d are allowed", peak, aimMiB)
	return errors.Join(errs...)
}

func (r *result) print(t *teller) {
	fmt.Fprintf(t.out, `
%d nodes in %d processes, %d supernodes; %d processes, %d nodes, %d supernodes and the login server killed
after the last start   median     99 %%     last
attached            %7.2f s %7.2f s %7.2f s
answered a call     %7.2f s %7.2f s %7.2f s
packets sent to become attached: %.1f each, at most %d
peak memory of each process in MiB: %.0f
%d supernodes now
`, r.Nodes, r.Processes, r.Supernodes, r.KilledProcesses, r.Killed, r.SupernodesKilled,
		r.AttachedP50, r.AttachedP99, r.AttachedMax, r.CalledP50, r.CalledP99, r.CalledMax, r.PacketsMean, r.PacketsMax, r.PeakMiB, r.SupernodesAfter)
}

// quantiles returns the median, the 99th percentile and the maximum.
func quantiles(x []float64) (p50, p99, last float64) {
	slices.Sort(x)
	at := func(q float64) float64 { return x[int(math.Ceil(q*float64(len(x))))-1] }
	return at(0.5), at(0.99), at(1)
}

// teller tells what happens as it happens, with the seconds since the start.
type teller struct {
	out   io.Writer
	start time.Time
}

func newTeller(out io.Writer) *teller { return &teller{out, time.Now()} }

func (t *teller) say(format string, args ...any) {
	fmt.Fprintf(t.out, "%6.1f s  %s\n", time.Since(t.start).Seconds(), fmt.Sprintf(format, args...))
}

package runtime

// SweepAlways has every book sweep after every step, and returns what ends that.
func SweepAlways() (end func()) {
	slack = -1 << 30
	return func() { slack = sweepSlack }
}

// Package sorted finds keys in sorted slices. Where the keys are spread evenly, as hashes
// and the numbers of a dense count are, a good guess lies within a few places of the key,
// so that a search touches one or two lines of memory and not one for each halving: with
// thousands of tables that share a processor's caches, that is most of what it costs.
package sorted

import "math/bits"

// Find returns the first position in keys, which ascend, whose key is not below k, and
// whether it is k. It begins at guess and goes from there in steps that double, so that a
// guess that is d places off costs 2 log d looks, whoever chose the keys.
func Find[K ~uint32 | ~uint64](keys []K, k K, guess int) (int, bool) {
	lo, hi := 0, len(keys)
	if hi == 0 {
		return 0, false
	}
	if guess = min(max(guess, 0), hi-1); keys[guess] < k {
		lo = guess + 1
		for step := first; lo+step <= hi; step *= 2 {
			if keys[lo+step-1] >= k {
				hi = lo + step - 1
				break
			}
			lo += step
		}
	} else {
		hi = guess
		for step := first; hi-step >= 0; step *= 2 {
			if keys[hi-step] < k {
				lo = hi - step + 1
				break
			}
			hi -= step
		}
	}
	for lo < hi {
		if mid := int(uint(lo+hi) >> 1); keys[mid] < k {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo, lo < len(keys) && keys[lo] == k
}

// first is the first step: within it lies what one line of memory holds.
const first = 4

// Hash finds a key that is a hash of 64 bits.
func Hash[K ~uint64](keys []K, k K) (int, bool) {
	guess, _ := bits.Mul64(uint64(k), uint64(len(keys)))
	return Find(keys, k, int(guess))
}

// Number finds one of the numbers of a count, of which some share is in keys.
func Number[K ~uint32](keys []K, k K) (int, bool) {
	n := len(keys)
	if n == 0 {
		return 0, false
	}
	return Find(keys, k, int(uint64(k)*uint64(n)/(uint64(keys[n-1])+1)))
}

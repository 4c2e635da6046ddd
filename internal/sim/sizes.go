package sim

import (
	"unsafe"

	"github.com/ada420b6/overlay/internal/core"
)

// The sizes of what there is one of for each node, event or entry.
const (
	hostBytes       = int(unsafe.Sizeof(host{}))
	watchBytes      = int(unsafe.Sizeof(watch{}))
	diaryBytes      = int(unsafe.Sizeof(diary{}))
	eventBytes      = int(unsafe.Sizeof(event{}))
	blockBytes      = int(unsafe.Sizeof(block{}))
	napBytes        = int(unsafe.Sizeof(nap{}))
	cacheEntryBytes = int(unsafe.Sizeof(core.CacheEntry{}))
	nodeBytes       = int(unsafe.Sizeof(core.Node{}))
)

// What else a simulation takes, from the peak resident set of patch days of 1 000 to 200 000
// nodes (examples/patchday -json): for each node what its supernodes keep of it, messages
// under way and what the collector has not yet given back; for each pair of supernodes an
// entry of a roster; and the program.
const (
	shareBytes   = 2600
	memberBytes  = 45
	programBytes = 16 << 20
)

// Memory estimates how many bytes a simulation by c takes at most.
func (c *Config) Memory() int64 {
	each := nodeBytes + hostBytes + min(c.Cache, c.Policy.HostCache)*cacheEntryBytes + shareBytes
	if c.Foretold {
		each += 2 * napBytes
	}
	supers := int64(c.Nodes) * int64(c.Policy.Attachments) * 128 / max(1, int64(c.Policy.NormalSlots)*int64(c.Policy.TierTarget))
	return programBytes + int64(c.Nodes)*int64(each) + supers*supers*memberBytes
}

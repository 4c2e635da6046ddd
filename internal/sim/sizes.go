package sim

import (
	"unsafe"

	"github.com/ada420b6/overlay/internal/core"
)

// The sizes of what there is one of for each node, event or entry.
const (
	hostBytes       = int(unsafe.Sizeof(host{}))
	watchBytes      = int(unsafe.Sizeof(watch{}))
	eventBytes      = int(unsafe.Sizeof(event{}))
	runKeyBytes     = int(unsafe.Sizeof(runKey{}))
	cacheEntryBytes = int(unsafe.Sizeof(core.CacheEntry{}))
)

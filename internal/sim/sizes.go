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
)

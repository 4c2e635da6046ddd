package wire

import (
	"github.com/ada420b6/overlay/internal/vtime"
)

// List answers a ListRequest.
//
//	nonce 8 | start 1 | wait 4 | peers (1 + n x peer)
type List struct {
	Nonce uint64         // of the request
	Start bool           // no supernode is known and the asker shall be the first
	Wait  vtime.Duration // how long to stay away when the list is empty
	Peers Peers          // supernodes heard of lately
}

// Append appends the message to b.
func (m *List) Append(b []byte, book Book) []byte {
	b = header(b, KindList)
	b = u64(b, m.Nonce)
	b = flag(b, m.Start)
	b = wait(b, m.Wait)
	b = m.Peers.append(b, book)
	return b
}

// Parse reads the message from b.
func (m *List) Parse(b []byte, book Book) error {
	r := read(b, KindList)
	m.Nonce = r.u64()
	m.Start = r.flag()
	m.Wait = r.wait()
	m.Peers = r.peers(book)
	return r.end()
}

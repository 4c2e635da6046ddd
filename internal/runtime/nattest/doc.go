// Package nattest lets nodes talk through the NATs of the Linux kernel: each behind a
// router of its own, in network namespaces joined by veth pairs, with rules of nftables.
// It has tests only, which need root, the programs ip and nft, and a minute:
//
//	OVERLAY_NAT=1 go test -v ./internal/runtime/nattest
//
// Everything runs in one process: a socket stays in the namespace in which it was made,
// whichever goroutine uses it. What the pairs of kinds come to is a table in
// testdata/pairs.txt and in PROTOCOL.md section 8. The kinds of RFC 4787 that rules of
// nftables can't express are in the model of package path (TestPairsOfNATs).
package nattest

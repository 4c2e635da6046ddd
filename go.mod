module github.com/ada420b6/overlay

go 1.25.0

require (
	github.com/creack/pty v1.1.24
	github.com/dchest/siphash v1.2.3
	github.com/flynn/noise v1.1.0
	github.com/google/go-cmp v0.7.0
	github.com/quic-go/quic-go v0.61.0
	go.etcd.io/bbolt v1.5.0
	go.uber.org/goleak v1.3.0
	golang.org/x/crypto v0.55.0
	golang.org/x/net v0.58.0
	golang.org/x/sys v0.47.0
	pgregory.net/rapid v1.3.0
)

require (
	golang.org/x/exp v0.0.0-20260112195511-716be5621a96 // indirect
	golang.org/x/mod v0.37.0 // indirect
	golang.org/x/sync v0.22.0 // indirect
	golang.org/x/tools v0.47.0 // indirect
)

tool golang.org/x/exp/cmd/apidiff

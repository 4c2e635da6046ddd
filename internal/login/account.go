package login

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math"
	"time"

	"github.com/ada420b6/overlay/internal/cert"
	"github.com/ada420b6/overlay/internal/ident"
)

// Account is what the store knows about a name. Two are the same when they are ==.
type Account struct {
	Name       string
	Identity   cert.PublicKey // who has it, or had it last
	Session    ident.Key      // the session key of its last claim
	Generation uint16         // 1 for the first identity, one more for every other one since
	Released   bool           // nobody has it: see Store.Release
	Since      int64          // unix seconds: when Identity claimed it first
}

// edit is a change of one account: from what is there (ok says whether anything is) to
// what shall be there. It must be pure: a store may call it again when another server
// was faster. Returning old means that nothing is to be written.
type edit func(old Account, ok bool) (Account, error)

// claim is the rule by which names are given: first come, until the operator releases.
func claim(name string, identity cert.PublicKey, session ident.Key, now time.Time) edit {
	return func(old Account, ok bool) (Account, error) {
		next := Account{Name: name, Identity: identity, Session: session, Generation: 1, Since: now.Unix()}
		switch {
		case !ok:
			return next, nil
		case old.Identity == identity:
			next.Generation, next.Since = old.Generation, old.Since
			return next, nil
		case !old.Released:
			return old, &TakenError{Name: name}
		case old.Generation == math.MaxUint16:
			// Beginning again at 1 would make the oldest owner's records the newest.
			return old, ErrGenerations
		}
		next.Generation = old.Generation + 1
		return next, nil
	}
}

// release keeps the identity: only a different one may raise the generation.
func release(old Account, ok bool) (Account, error) {
	if !ok {
		return old, ErrNotFound
	}
	old.Released = true
	return old, nil
}

// An account in the embedded store, under its name as key, integers big-endian:
//
//	 0       1        2          4          36        68      76      80
//	+-------+--------+----------+----------+---------+-------+-------+
//	|version|released|generation| identity | session | since | crc   |
//	|   1   |   1    |    2     |    32    |   32    |   8   |   4   |
//	+-------+--------+----------+----------+---------+-------+-------+
//
// The CRC-32C is over name and value: what a disk damaged is found, not believed.
const (
	accountVersion = 1
	accountSize    = 80
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func checksum(key, value []byte) uint32 {
	return crc32.Update(crc32.Checksum(key, castagnoli), castagnoli, value)
}

// appendChecksum appends the checksum of the value v under key.
func appendChecksum(v, key []byte) []byte {
	return binary.BigEndian.AppendUint32(v, checksum(key, v))
}

// checksumHolds says whether v, stored under key, ends with its checksum.
func checksumHolds(key, v []byte) bool {
	body := len(v) - 4
	return body >= 0 && binary.BigEndian.Uint32(v[body:]) == checksum(key, v[:body])
}

// encode returns the value that is stored under the account's name.
func (a *Account) encode() []byte {
	b := make([]byte, 0, accountSize)
	b = append(b, accountVersion, 0)
	if a.Released {
		b[1] = 1
	}
	b = binary.BigEndian.AppendUint16(b, a.Generation)
	b = append(b, a.Identity[:]...)
	b = append(b, a.Session[:]...)
	b = binary.BigEndian.AppendUint64(b, uint64(a.Since))
	return appendChecksum(b, []byte(a.Name))
}

// parseAccount reads what encode wrote, under the key name.
func parseAccount(name, b []byte) (a Account, err error) {
	if len(b) != accountSize || b[0] != accountVersion || b[1] > 1 || !checksumHolds(name, b) {
		return Account{}, fmt.Errorf("%w: the account of %q", ErrCorrupt, name)
	}
	a = Account{
		Name:       string(name),
		Identity:   cert.PublicKey(b[4:36]),
		Session:    ident.Key(b[36:68]),
		Generation: binary.BigEndian.Uint16(b[2:]),
		Released:   b[1] == 1,
		Since:      int64(binary.BigEndian.Uint64(b[68:])),
	}
	return a, nil
}

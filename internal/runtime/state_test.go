package runtime

import (
	"bytes"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"pgregory.net/rapid"

	"github.com/ada420b6/overlay/internal/attach"
	"github.com/ada420b6/overlay/internal/core"
)

// open loads a state directory and closes it again.
func open(t *testing.T, dir string) *stored {
	t.Helper()
	st, err := openState(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer st.close()
	had, err := st.load()
	if err != nil {
		t.Fatal(err)
	}
	return had
}

func TestStateSurvives(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	first := open(t, dir)
	if first.boot != 1 || len(first.damaged) != 0 || first.certificate != nil || first.wasSuper {
		t.Fatalf("an empty directory: %+v", first)
	}
	st, err := openState(dir)
	if err != nil {
		t.Fatal(err)
	}
	for name, kind := range map[string]fileKind{nameCertificate: fileCertificate, nameCache: fileCache, nameRoster: fileRoster} {
		if err := st.write(name, kind, []byte(name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(st.write(nameRole, fileRole, []byte{1}), st.close()); err != nil {
		t.Fatal(err)
	}
	second := open(t, dir)
	if second.boot != 2 || second.keys.Session() != first.keys.Session() || !second.wasSuper ||
		string(second.certificate) != nameCertificate || string(second.cache) != nameCache || string(second.roster) != nameRoster {
		t.Fatalf("second start: %+v", second)
	}
}

// No change of a single byte and no cut leaves a file whole.
func TestSealSeesEveryByte(t *testing.T) {
	whole := seal(fileRoster, []byte("what a node knew"))
	for at := range whole {
		for bit := range 8 {
			b := bytes.Clone(whole)
			b[at] ^= 1 << bit
			if _, err := unseal(fileRoster, b); !errors.Is(err, errDamaged) {
				t.Fatalf("bit %d of byte %d was changed: %v", bit, at, err)
			}
		}
		if _, err := unseal(fileRoster, whole[:at]); !errors.Is(err, errDamaged) {
			t.Fatalf("cut at %d: %v", at, err)
		}
	}
	if _, err := unseal(fileCache, whole); !errors.Is(err, errDamaged) {
		t.Fatalf("a file of another kind: %v", err)
	}
}

// Files are damaged from front to back, and cut: the node comes up, says so, keeps its
// identity, and counts on.
func TestStateDamagedEverywhere(t *testing.T) {
	dir := t.TempDir()
	want := open(t, dir).keys.Session()
	st, err := openState(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := st.write(nameRole, fileRole, []byte{1}); err != nil {
		t.Fatal(err)
	}
	_ = st.close()
	boot := open(t, dir).boot
	for _, name := range []string{nameIdentity, nameIdentity2, nameCounters, nameCounters2, nameRole} {
		whole, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		damage := func(b []byte) {
			t.Helper()
			if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
				t.Fatal(err)
			}
			had := open(t, dir)
			if len(had.damaged) != 1 || had.damaged[0].File != filepath.Join(dir, name) {
				t.Fatalf("%s was damaged, reported is %v", name, had.damaged)
			}
			if aside, err := os.ReadFile(filepath.Join(dir, name+suffixCorrupt)); err != nil || !bytes.Equal(aside, b) {
				t.Fatalf("%s was not set aside: %v", name, err)
			}
			if had.keys.Session() != want {
				t.Fatalf("%s was damaged, and the identity lost", name)
			}
			if had.boot <= boot {
				t.Fatalf("%s was damaged, and start %d followed start %d", name, had.boot, boot)
			}
			boot = had.boot
		}
		for at := 0; at < len(whole); at += 9 {
			b := bytes.Clone(whole)
			b[at] ^= 0x10
			damage(b)
			damage(whole[:at])
			if name == nameRole {
				continue
			}
			if fixed := open(t, dir); len(fixed.damaged) != 0 {
				t.Fatalf("%s was not rebuilt: %v", name, fixed.damaged)
			}
			boot++
		}
	}
}

// A boot number that was lost is replaced by one that no earlier start can have had.
func TestLostBootNumber(t *testing.T) {
	dir := t.TempDir()
	for range 5 {
		open(t, dir)
	}
	for _, name := range []string{nameCounters, nameCounters2} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	boot := open(t, dir).boot
	if boot < 10_000 { // hours since 2025
		t.Fatalf("boot number %d after the counters were lost", boot)
	}
	if next := open(t, dir).boot; next != boot+1 {
		t.Fatalf("boot number %d after %d", next, boot)
	}
	if incOf(boot+1) <= incOf(boot) || seqOf(1, boot+1) <= seqOf(1, boot) || seqOf(2, 1) <= seqOf(1, maxBoot) {
		t.Fatal("numbers do not grow with the boot number")
	}
}

func TestBothIdentitiesDamaged(t *testing.T) {
	dir := t.TempDir()
	was := open(t, dir).keys.Session()
	for _, name := range []string{nameIdentity, nameIdentity2} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("?"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	had := open(t, dir)
	if len(had.damaged) != 2 || had.keys.Session() == was {
		t.Fatalf("reported %v", had.damaged)
	}
	if again := open(t, dir); again.keys.Session() != had.keys.Session() {
		t.Fatal("the new identity was not kept")
	}
}

func TestStateLock(t *testing.T) {
	dir := t.TempDir()
	st, err := openState(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := openState(dir); !errors.Is(err, ErrStateInUse) {
		t.Fatalf("a directory in use: %v", err)
	}
	if err := st.close(); err != nil {
		t.Fatal(err)
	}
	open(t, dir)
}

// A file that can't be replaced is left as it was.
func TestWriteIsAtomic(t *testing.T) {
	dir := t.TempDir()
	if err := writeFile(dir, "x", fileRole, []byte("old")); err != nil {
		t.Fatal(err)
	}
	// The new file can't be made: a directory has its name.
	if err := os.Mkdir(filepath.Join(dir, "x"+suffixNew), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "x"+suffixNew, "y"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := writeFile(dir, "x", fileRole, []byte("new")); !errors.Is(err, syscall.EISDIR) {
		t.Fatalf("written: %v", err)
	}
	if b, err := readFile(dir, "x", fileRole); err != nil || string(b) != "old" {
		t.Fatalf("%q: %v", b, err)
	}
}

// A crash between writing and renaming leaves a file beside the old one, which nobody
// reads.
func TestCrashWhileWriting(t *testing.T) {
	dir := t.TempDir()
	was := open(t, dir)
	for _, name := range []string{nameIdentity, nameCounters, nameCertificate} {
		if err := os.WriteFile(filepath.Join(dir, name+suffixNew), []byte("half"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if had := open(t, dir); len(had.damaged) != 0 || had.keys.Session() != was.keys.Session() || had.boot != was.boot+1 {
		t.Fatalf("%+v", had)
	}
}

func TestCacheAndRosterRoundTrip(t *testing.T) {
	i := newIssuer(t)
	k := i.book("a")
	cache := make([]core.CacheEntry, 8)
	for n := range 5 {
		b := i.book("peer")
		b.address = netip.AddrPortFrom(netip.AddrFrom4([4]byte{11, 0, 0, byte(n + 1)}), 4040)
		m, _, err := k.ParseMember(b.AppendMember(nil, b.self, uint32(n)))
		if err != nil {
			t.Fatal(err)
		}
		cache[n] = core.CacheEntry{Peer: m.Peer, Tried: n%2 == 0, Fails: 3}
	}
	raw, roster := encodeCache(k, cache), encodeRoster(k)

	again := i.book("a")
	known := decodeRoster(again, roster)
	restored := make([]core.CacheEntry, 8)
	decodeCache(again, raw, restored)
	if attach.Cache(restored).Len() != 5 || len(known) != 5 {
		t.Fatalf("%d of 5 in the cache, %d of 5 in the roster", attach.Cache(restored).Len(), len(known))
	}
	for n := range 5 {
		was, is := k.at(cache[n].Peer), again.at(restored[n].Peer)
		if was.key != is.key || was.addr != is.addr || restored[n].Tried != cache[n].Tried || restored[n].Fails != 0 {
			t.Fatalf("entry %d: %+v became %+v", n, cache[n], restored[n])
		}
		if !bytes.Equal(again.AppendMember(nil, restored[n].Peer, 0), was.member.blob) {
			t.Fatalf("the member record of entry %d was lost", n)
		}
	}
	i.now = i.now.AddDate(1, 0, 0)
	if known := decodeRoster(i.book("a"), roster); len(known) != 0 {
		t.Fatalf("%d members are known by certificates that are over", len(known))
	}
}

// An address that was good once comes back as such; one that was only heard of does not
// become better by a restart.
func TestCacheKeepsRanks(t *testing.T) {
	i := newIssuer(t)
	k := i.book("a")
	at := func(n byte) netip.AddrPort { return netip.AddrPortFrom(netip.AddrFrom4([4]byte{11, 0, 0, n}), 1) }
	good, heard := k.intern(mustKeys(t).Session()), k.intern(mustKeys(t).Session())
	k.learn(good, at(1), proven)
	k.learn(heard, at(2), hearsay)
	k.learn(good, at(3), hearsay) // a stranger's lie, just before the end
	cache := []core.CacheEntry{{Peer: good, Tried: true}, {Peer: heard}}
	tickets := core.Tickets{{Peer: good, Mark: 7}}
	for range 2 {
		raw, marks := encodeCache(k, cache), encodeTickets(k, tickets)
		k = i.book("a")
		decodeCache(k, raw, cache[:copy(cache, make([]core.CacheEntry, 2))])
		tickets = decodeTickets(k, marks)
		for n, want := range []entry{{rank: kept, addr: at(1)}, {rank: hearsay, addr: at(2)}} {
			if e := k.at(cache[n].Peer); e.rank != want.rank || e.addr != want.addr {
				t.Fatalf("entry %d has rank %d, %v; want rank %d, %v", n, e.rank, e.addr, want.rank, want.addr)
			}
		}
		if tickets[0].Peer != cache[0].Peer || !cache[0].Tried {
			t.Fatalf("%+v, %+v", cache, tickets)
		}
		k.learn(cache[0].Peer, at(4), hearsay)
	}
}

// What another version or a hostile disk wrote is never more than left out.
func TestDecodeAnything(t *testing.T) {
	i := newIssuer(t)
	k := i.book("a")
	rapid.Check(t, func(t *rapid.T) {
		b := rapid.SliceOf(rapid.Byte()).Draw(t, "b")
		cache := make([]core.CacheEntry, 4)
		decodeCache(k, b, cache)
		if known := decodeRoster(k, b); len(known) > len(b) {
			t.Fatalf("%d members in %d bytes", len(known), len(b))
		}
		if k.trusted {
			t.Fatal("the book goes on trusting")
		}
	})
}

package runtime

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/ada420b6/overlay/internal/cert"
)

// state is a node's state directory.
type state struct {
	dir  string
	lock *os.File
}

// stored is what was on disk when the node came up.
type stored struct {
	keys        cert.KeyPair
	certificate []byte // encoded; nil when there is none
	boot        uint32 // number of this start, counted from 1
	cache       []byte
	roster      []byte
	tickets     []byte
	wasSuper    bool
	port        uint16 // of its socket; 0 when it is not known
	damaged     []Damage
}

// Damage is a file of the state directory that was not what had been written. It was
// renamed to File + ".corrupt".
type Damage struct {
	File string
	Err  error
}

// Boot numbers. A sequence number has room for 2^24 starts. An incarnation (32 bits, of
// which 12 count within a run) has room for 2^20: one start an hour for 119 years.
const (
	maxBoot  = 1<<bootShift - 1
	incShift = 12
	maxInc   = 1<<(32-incShift) - 1
)

// bootEpoch is where the hours are counted from that stand in for a lost boot number.
var bootEpoch = time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)

// openState locks a state directory, and makes it if it is not there.
func openState(dir string) (*state, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("state directory: %w", err)
	}
	lock, err := lockFile(filepath.Join(dir, nameLock))
	if err != nil {
		return nil, fmt.Errorf("state directory %s: %w", dir, err)
	}
	return &state{dir: dir, lock: lock}, nil
}

// close lets another process have the directory.
func (s *state) close() error { return s.lock.Close() }

// load reads everything and counts the start. What is damaged is set aside and rebuilt
// as far as it can be; only a disk that can't be written is an error, because a node
// whose boot number was not kept would sign records that are older than its last.
func (s *state) load() (*stored, error) {
	d := &stored{}
	if err := s.loadIdentity(d); err != nil {
		return nil, err
	}
	if err := s.count(d); err != nil {
		return nil, err
	}
	for _, f := range []struct {
		name string
		kind fileKind
		to   *[]byte
	}{
		{nameCertificate, fileCertificate, &d.certificate},
		{nameCache, fileCache, &d.cache},
		{nameRoster, fileRoster, &d.roster},
		{nameTickets, fileTickets, &d.tickets},
	} {
		*f.to, _ = s.read(d, f.name, f.kind)
	}
	role, _ := s.read(d, nameRole, fileRole)
	d.wasSuper = len(role) == 1 && role[0] == 1
	if port, _ := s.read(d, namePort, filePort); len(port) == 2 {
		d.port = binary.BigEndian.Uint16(port)
	}
	return d, nil
}

// read returns the content of a file, nil when there is none that is whole.
func (s *state) read(d *stored, name string, kind fileKind) ([]byte, error) {
	b, err := readFile(s.dir, name, kind)
	if err == nil {
		return b, nil
	}
	s.damage(d, name, err)
	return nil, err
}

func (s *state) damage(d *stored, name string, err error) {
	if errors.Is(err, errDamaged) {
		err = errors.Join(err, setAside(s.dir, name))
	}
	d.damaged = append(d.damaged, Damage{File: filepath.Join(s.dir, name), Err: err})
}

// loadIdentity reads the identity, either copy of it, or draws a new one when there is
// none. A file that is there and can't be read (its permissions, a failing disk) is an
// error: a new identity would lose the node its name.
func (s *state) loadIdentity(d *stored) error {
	have := map[string]bool{}
	found := false
	for _, name := range []string{nameIdentity, nameIdentity2} {
		b, err := s.read(d, name, fileIdentity)
		if err != nil && !errors.Is(err, errDamaged) {
			return fmt.Errorf("state directory: reading %s: %w", filepath.Join(s.dir, name), err)
		}
		if b == nil {
			continue
		}
		keys, err := cert.DecodeKeyPair(b)
		if err != nil {
			s.damage(d, name, fmt.Errorf("%w: %w", errDamaged, err))
			continue
		}
		if !found {
			d.keys, found = keys, true
		}
		have[name] = keys.Session() == d.keys.Session()
	}
	if !found {
		var err error
		if d.keys, err = cert.GenerateKeyPair(rand.Reader); err != nil {
			return err
		}
	}
	for _, name := range []string{nameIdentity, nameIdentity2} {
		if have[name] {
			continue
		}
		if err := s.write(name, fileIdentity, d.keys.Append(nil)); err != nil {
			return err
		}
	}
	return nil
}

// count gives the start its number, and keeps it before anything is signed with it. A
// number of which both copies were lost is replaced by one that is later than any node
// can have reached with a start an hour.
func (s *state) count(d *stored) error {
	known, lost := false, false
	for _, name := range []string{nameCounters, nameCounters2} {
		b, err := s.read(d, name, fileCounters)
		switch {
		case err != nil:
			lost = true
		case len(b) == 4:
			d.boot = max(d.boot, binary.BigEndian.Uint32(b))
			known = true
		}
	}
	if lost && !known {
		d.boot = uint32(max(0, time.Since(bootEpoch)/time.Hour))
	}
	d.boot = min(d.boot+1, maxBoot)
	b := binary.BigEndian.AppendUint32(nil, d.boot)
	return errors.Join(s.write(nameCounters, fileCounters, b), s.write(nameCounters2, fileCounters, b))
}

// write replaces a file. The error says which.
func (s *state) write(name string, kind fileKind, content []byte) error {
	if err := writeFile(s.dir, name, kind, content); err != nil {
		return fmt.Errorf("state directory: writing %s: %w", filepath.Join(s.dir, name), err)
	}
	return nil
}

// seq returns the first sequence number of a start: see bookrecord.go.
func seqOf(generation uint16, boot uint32) uint64 {
	return uint64(generation)<<generationShift | uint64(boot)<<bootShift
}

// incOf returns the first incarnation of a start. Beyond a million starts it stays, and
// a restarted supernode has to wait until the tier believes its predecessor dead.
func incOf(boot uint32) uint32 { return min(boot, maxInc) << incShift }

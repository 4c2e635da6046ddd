package runtime

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"path/filepath"
)

// A file of the state directory is, integers big-endian,
//
//	magic 8 | kind 1 | version 1 | length 4 | content | CRC-32C 4, over all before it
//
// and is replaced as a whole: written under another name, synced, renamed, and the
// directory synced. Whatever moment the machine stops in, there is the old file or the
// new one.
const (
	fileMagic   = "overlay\n"
	fileVersion = 1
	fileHead    = len(fileMagic) + 1 + 1 + 4
	fileTail    = 4

	// maxFile bounds what is read: a roster of 200 000 members of 312 B is 62 MB.
	maxFile = 64 << 20
)

// fileKind keeps one file from being taken for another.
type fileKind byte

const (
	fileIdentity fileKind = iota + 1
	fileCertificate
	fileCounters
	fileCache
	fileRoster
	fileRole
	filePort
	fileTickets
)

// The files. The identity is kept twice: it is the one thing that nobody can give back.
// So is the boot number: without it the node's next records would be older than its
// last.
const (
	nameIdentity    = "identity"
	nameIdentity2   = "identity.copy"
	nameCertificate = "certificate"
	nameCounters    = "counters"
	nameCounters2   = "counters.copy"
	nameCache       = "hostcache"
	nameRoster      = "roster"
	nameRole        = "role"
	namePort        = "port"
	nameTickets     = "tickets"
	nameLock        = "lock"

	suffixCorrupt = ".corrupt"
	suffixNew     = ".new"
)

// errDamaged is the error of a file that is not what was written.
var errDamaged = errors.New("damaged")

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// seal returns the bytes of a file.
func seal(kind fileKind, content []byte) []byte {
	b := make([]byte, 0, fileHead+len(content)+fileTail)
	b = append(b, fileMagic...)
	b = append(b, byte(kind), fileVersion)
	b = binary.BigEndian.AppendUint32(b, uint32(len(content)))
	b = append(b, content...)
	return binary.BigEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
}

// unseal returns the content of a file, or errDamaged.
func unseal(kind fileKind, b []byte) ([]byte, error) {
	n := len(b) - fileHead - fileTail
	switch {
	case n < 0:
		return nil, fmt.Errorf("%w: cut short at %d bytes", errDamaged, len(b))
	case string(b[:len(fileMagic)]) != fileMagic:
		return nil, fmt.Errorf("%w: not a file of this program", errDamaged)
	case b[8] != byte(kind) || b[9] != fileVersion:
		return nil, fmt.Errorf("%w: kind %d, version %d", errDamaged, b[8], b[9])
	case binary.BigEndian.Uint32(b[10:]) != uint32(n):
		return nil, fmt.Errorf("%w: length", errDamaged)
	case binary.BigEndian.Uint32(b[fileHead+n:]) != crc32.Checksum(b[:fileHead+n], castagnoli):
		return nil, fmt.Errorf("%w: checksum", errDamaged)
	}
	return b[fileHead : fileHead+n], nil
}

// readFile returns the content of a file: nil when there is none, errDamaged when it is
// not what was written.
func readFile(dir, name string, kind fileKind) ([]byte, error) {
	p := filepath.Join(dir, name)
	info, err := os.Stat(p)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err == nil && (info.Size() > maxFile || !info.Mode().IsRegular()) {
		return nil, fmt.Errorf("%w: %d bytes, mode %v", errDamaged, info.Size(), info.Mode())
	}
	b, err := os.ReadFile(p)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return unseal(kind, b)
}

// writeFile replaces a file.
func writeFile(dir, name string, kind fileKind, content []byte) error {
	temp := filepath.Join(dir, name+suffixNew)
	if err := writeSynced(temp, seal(kind, content)); err != nil {
		_ = os.Remove(temp) // what is left of it is of no use, and may fill the disk
		return err
	}
	if err := os.Rename(temp, filepath.Join(dir, name)); err != nil {
		return err
	}
	return syncDir(dir)
}

func writeSynced(name string, b []byte) (err error) {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// syncDir makes a rename survive a power cut. Some systems can't sync a directory, and
// need not: there the error says nothing about the file.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	_ = d.Sync()
	return d.Close()
}

// setAside keeps a damaged file for whoever wants to look at it, out of the way.
func setAside(dir, name string) error {
	p := filepath.Join(dir, name)
	return os.Rename(p, p+suffixCorrupt)
}

package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// A file on a stream, and the answers to it, which are lines:
//
//	length of the name 1 | name | size 8       "ok", or why not
//	the bytes | their SHA-256 32               "got it", or why not

const (
	// maxFile bounds a file that comes: no single one fills a disk.
	maxFile = 4 << 30
	// maxName is what file systems allow.
	maxName = 255
	// stalled is how long nothing may move before a transfer is given up: longer than a
	// conversation needs to find another way.
	stalled = time.Minute
)

// checkFileName refuses names that could mean another place than the folder, or that a
// person would not see or type.
func checkFileName(name string) error {
	switch {
	case name == "" || len(name) > maxName || !utf8.ValidString(name):
		return errors.New("its name is empty, too long, or no text")
	case strings.ContainsAny(name, `/\:`) || !filepath.IsLocal(name):
		return errors.New("its name leads elsewhere")
	case strings.HasPrefix(name, "."):
		return errors.New("its name is hidden")
	case strings.IndexFunc(name, func(r rune) bool { return !unicode.IsPrint(r) }) >= 0:
		return errors.New("its name can't be shown")
	}
	return nil
}

// sendFile sends a file to somebody, and tells how it goes.
func (h *chat) sendFile(name, path string) {
	base := filepath.Base(path)
	if name == "" {
		h.say("! to whom? /msg NAME first")
		return
	}
	if err := h.transmit(name, path); err != nil {
		h.say("! %s is not sent to %s: %s", base, name, reason(err))
		return
	}
	h.say("* %s has %s", name, base)
}

func (h *chat) transmit(name, path string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	base := filepath.Base(path)
	if !info.Mode().IsRegular() {
		return errors.New("it is no ordinary file")
	}
	if err := checkFileName(base); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(h.ctx, patience)
	defer cancel()
	conn, err := h.node.DialContext(ctx, "tcp", name+fileService)
	if err != nil {
		return err
	}
	defer conn.Close()
	defer context.AfterFunc(h.ctx, func() { conn.Close() })()

	answers := answersOf(conn)
	header := append([]byte{byte(len(base))}, base...)
	if err := step(conn, answers, binary.BigEndian.AppendUint64(header, uint64(info.Size()))); err != nil {
		return err
	}
	sum := sha256.New()
	p := &progress{h: h, what: fmt.Sprintf("%s to %s", base, name), size: info.Size()}
	if _, err := io.Copy(&moving{conn, sum, p}, io.LimitReader(file, info.Size())); err != nil {
		return err
	}
	return step(conn, answers, sum.Sum(nil))
}

// step sends b and waits for the answer.
func step(conn net.Conn, answers *bufio.Reader, b []byte) error {
	_ = conn.SetDeadline(time.Now().Add(stalled))
	if _, err := conn.Write(b); err != nil {
		return err
	}
	line, err := answers.ReadString('\n')
	if line = strings.TrimSpace(line); err == nil && line != "ok" {
		err = errors.New(line)
	}
	return err
}

// moving writes to a conn what has been hashed, and lets it wait as long as something moves.
type moving struct {
	conn net.Conn
	sum  hash.Hash
	p    *progress
}

func (m *moving) Write(b []byte) (int, error) {
	_ = m.conn.SetDeadline(time.Now().Add(stalled))
	n, err := m.conn.Write(b)
	m.sum.Write(b[:n])
	m.p.add(n)
	return n, err
}

// progress tells of every quarter of a large file.
type progress struct {
	h          *chat
	what       string
	size, done int64
	quarter    int64
}

func (p *progress) add(n int) {
	const large = 1 << 20
	p.done += int64(n)
	if q := 4 * p.done / max(1, p.size); p.size >= large && q > p.quarter && q < 4 {
		p.quarter = q
		p.h.say("* %s: %d %%", p.what, 25*q)
	}
}

// takeFile takes a file that somebody sends.
func (h *chat) takeFile(conn net.Conn, from string) {
	defer context.AfterFunc(h.ctx, func() { conn.Close() })()
	_ = conn.SetDeadline(time.Now().Add(patience))
	name, size, err := readHeader(conn)
	switch {
	case err != nil:
		return
	case !h.knows(from):
		err = errors.New("you are none of my contacts")
	case size > maxFile:
		err = fmt.Errorf("at most %d bytes are taken", int64(maxFile))
	default:
		err = checkFileName(name)
	}
	if err != nil {
		fmt.Fprintln(conn, err)
		h.say("! a file of %s is refused: %v", from, err)
		return
	}
	fmt.Fprintln(conn, "ok")
	kept, err := receive(conn, h.files, name, int64(size))
	if err != nil {
		fmt.Fprintln(conn, "it did not arrive whole")
		h.say("! %s of %s did not arrive whole: %s", name, from, reason(err))
		return
	}
	h.say("* %s has sent %s, kept as %s", from, name, kept)
	fmt.Fprintln(conn, "ok")
}

func readHeader(r io.Reader) (name string, size uint64, err error) {
	var b [maxName + 8]byte
	if _, err := io.ReadFull(r, b[:1]); err != nil {
		return "", 0, err
	}
	n := int(b[0])
	if _, err := io.ReadFull(r, b[:n+8]); err != nil {
		return "", 0, err
	}
	return string(b[:n]), binary.BigEndian.Uint64(b[n:]), nil
}

// receive keeps size bytes of conn in folder, under name or one like it that is free, and
// returns the path. A file that is not whole leaves nothing behind.
func receive(conn net.Conn, folder, name string, size int64) (string, error) {
	part, err := os.CreateTemp(folder, ".part-*")
	if err != nil {
		return "", err
	}
	defer os.Remove(part.Name())
	defer part.Close()
	sum := sha256.New()
	for left := size; left > 0; {
		_ = conn.SetDeadline(time.Now().Add(stalled))
		n, err := io.CopyN(io.MultiWriter(part, sum), conn, min(left, 64<<10))
		if err != nil {
			return "", err
		}
		left -= n
	}
	var said [sha256.Size]byte
	if _, err := io.ReadFull(conn, said[:]); err != nil {
		return "", err
	}
	if !bytes.Equal(said[:], sum.Sum(nil)) {
		return "", errors.New("its hash is another")
	}
	if err := errors.Join(part.Sync(), part.Close()); err != nil {
		return "", err
	}
	extension := filepath.Ext(name)
	stem := strings.TrimSuffix(name, extension)
	for i := 1; ; i++ {
		path := filepath.Join(folder, name)
		if i > 1 {
			path = filepath.Join(folder, fmt.Sprintf("%s-%d%s", stem, i, extension))
		}
		if err := os.Link(part.Name(), path); !errors.Is(err, fs.ErrExist) { // a link never replaces
			return path, err
		}
	}
}

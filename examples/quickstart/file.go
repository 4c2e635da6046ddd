package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"time"

	"github.com/ada420b6/overlay"
)

// fileSize is the size of what is downloaded: 64 MiB.
const fileSize = 64 << 20

// file is what one node serves: bytes that no cache and no compression can shorten.
type file struct {
	data []byte
	hash [sha256.Size]byte
}

func newFile(seed uint64) *file {
	var key [32]byte
	binary.LittleEndian.PutUint64(key[:], seed)
	f := &file{data: make([]byte, fileSize)}
	rand.NewChaCha8(key).Read(f.data) // never fails
	f.hash = sha256.Sum256(f.data)
	return f
}

// serve lets others download the file from node: plain net/http on an overlay listener.
func (f *file) serve(node *overlay.Node) error {
	l, err := node.Listen("tcp", ":80")
	if err != nil {
		return err
	}
	go http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { // ends with the node
		http.ServeContent(w, r, "file", time.Time{}, bytes.NewReader(f.data))
	}))
	return nil
}

// download gets the file from the node called name and checks it: plain net/http with
// the node's DialContext. It returns how many bytes came.
func (f *file) download(ctx context.Context, node *overlay.Node, name string, progress func(int64)) (int64, error) {
	transport := &http.Transport{DialContext: node.DialContext}
	defer transport.CloseIdleConnections()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+name+"/file", nil)
	if err != nil {
		return 0, err
	}
	resp, err := (&http.Client{Transport: transport}).Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	hash := sha256.New()
	n, err := io.Copy(hash, &counter{r: resp.Body, tell: progress})
	if err != nil {
		return n, err
	}
	if n != fileSize || !bytes.Equal(hash.Sum(nil), f.hash[:]) {
		return n, fmt.Errorf("%d bytes came and their hash is wrong", n)
	}
	return n, nil
}

// counter tells how far a download has come.
type counter struct {
	r    io.Reader
	n    int64
	tell func(int64)
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	c.tell(c.n)
	return n, err
}

// answer lets a node be called on the service "hello": whoever calls is greeted by name.
func answer(node *overlay.Node) error {
	l, err := node.Listen("tcp", ":hello")
	if err != nil {
		return err
	}
	go func() { // ends with the node
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go greet(c, node.Name()) // ends when the name is written
		}
	}()
	return nil
}

func greet(c net.Conn, name string) {
	defer c.Close()
	fmt.Fprint(c, name)
}

// call reports whether the node called name answers under its name.
func call(ctx context.Context, from *overlay.Node, name string) error {
	c, err := from.DialContext(ctx, "tcp", name+":hello")
	if err != nil {
		return err
	}
	defer c.Close()
	if d, ok := ctx.Deadline(); ok {
		if err := c.SetDeadline(d); err != nil {
			return err
		}
	}
	got, err := io.ReadAll(c)
	if err == nil && string(got) != name {
		err = fmt.Errorf("%q answers for %q", got, name)
	}
	return err
}

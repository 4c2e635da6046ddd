package overlay_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/ada420b6/overlay"
)

// network starts a login server and nodes n0, n1, ... on loopback, and closes them at
// the end of the test.
func network(t testing.TB, n int, options ...overlay.NodeOption) (*overlay.LoginServer, []*overlay.Node) {
	t.Helper()
	login, err := overlay.ListenLogin("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { login.Close() })
	o, err := overlay.New(overlay.WithInvite(login.Invite()), overlay.WithStateDir(t.TempDir()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { o.Close() })
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	nodes, errs := make([]*overlay.Node, n), make([]error, n)
	var wg sync.WaitGroup
	options = append(options, overlay.WithListenAddress("127.0.0.1:0"))
	for i := range n {
		wg.Go(func() {
			nodes[i], errs[i] = o.Join(ctx, fmt.Sprintf("n%d", i), options...)
		})
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}
	return login, nodes
}

func TestHTTPByName(t *testing.T) {
	_, nodes := network(t, 8)
	l, err := nodes[7].Listen("tcp", ":80")
	if err != nil {
		t.Fatal(err)
	}
	go http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { // ends with the node
		host, _, _ := net.SplitHostPort(r.RemoteAddr)
		fmt.Fprintf(w, "hello %s", host)
	}))
	client := &http.Client{Transport: &http.Transport{DialContext: nodes[3].DialContext}, Timeout: 20 * time.Second}
	for range 3 {
		resp, err := client.Get("http://n7/")
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || string(body) != "hello n3" {
			t.Fatalf("%q, %v", body, err)
		}
	}
	for _, n := range nodes {
		t.Logf("%+v", n.Status())
	}
}

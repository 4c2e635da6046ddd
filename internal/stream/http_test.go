package stream

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
)

// HTTP is the program that knows nothing of the overlay: server and client run on it
// unchanged, in both directions between the same two nodes.
func TestHTTP(t *testing.T) {
	f := newFabric()
	alice, bob := start(t, f, "alice"), start(t, f, "bob")
	for _, way := range []struct{ client, server *Endpoint }{{alice, bob}, {bob, alice}} {
		l := listen(t, way.server, "80")
		served := make(chan error)
		server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			caller, _, err := net.SplitHostPort(r.RemoteAddr)
			if err != nil {
				t.Error(err)
			}
			body, err := io.ReadAll(r.Body)
			if err != nil {
				t.Error(err)
			}
			io.WriteString(w, caller+" sent "+string(body))
		})}
		go func() { served <- server.Serve(l) }()
		client := &http.Client{Transport: &http.Transport{
			DialContext: func(ctx context.Context, _, address string) (net.Conn, error) {
				name, service, err := net.SplitHostPort(address)
				if err != nil {
					return nil, err
				}
				return way.client.Dial(ctx, peer(name), service)
			},
		}}
		for range 3 {
			body := strings.Repeat("patch", 50_000)
			r, err := client.Post("http://"+way.server.self.Name+"/", "text/plain", strings.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(r.Body)
			r.Body.Close()
			if want := way.client.self.Name + " sent " + body; err != nil || string(got) != want {
				t.Errorf("answer of %d bytes, want %d, %v", len(got), len(want), err)
			}
		}
		client.CloseIdleConnections()
		server.Close()
		if err := <-served; !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	}
}

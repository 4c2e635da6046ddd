package overlay_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"time"

	"github.com/ada420b6/overlay"
)

// start runs a whole network in this process, for the other examples: a login server and
// alice and bob, of whom the first becomes a supernode. Elsewhere each has a machine of
// its own, and an invite is all that they share.
func start(ctx context.Context) (alice, bob *overlay.Node, stop func()) {
	login, err := overlay.ListenLogin("127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	network, err := overlay.New(overlay.WithInvite(login.Invite()), overlay.WithHealing(atOnce()))
	if err != nil {
		log.Fatal(err)
	}
	nodes := make([]*overlay.Node, 2)
	for i, name := range []string{"alice", "bob"} {
		if nodes[i], err = network.Join(ctx, name, overlay.WithListenAddress("127.0.0.1:0")); err != nil {
			log.Fatal(err)
		}
	}
	return nodes[0], nodes[1], func() { network.Close(); login.Close() }
}

// atOnce is the default policy without the wait that spreads the starts of many.
func atOnce() overlay.HealingPolicy {
	p := overlay.DefaultHealing()
	p.StartSpread = 0
	return p
}

// Two lines of code and an invite are a node.
func ExampleNetwork_Join() {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	login, err := overlay.ListenLogin("127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	defer login.Close()

	network, err := overlay.New(overlay.WithInvite(login.Invite()), overlay.WithHealing(atOnce()))
	if err != nil {
		log.Fatal(err)
	}
	defer network.Close()
	node, err := network.Join(ctx, "alice")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(node.Name(), node.Status().Attached)
	// Output: alice true
}

// DialContext fits http.Transport: a URL names a node.
func ExampleNode_DialContext() {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	alice, bob, stop := start(ctx)
	defer stop()

	l, err := bob.Listen("tcp", ":80")
	if err != nil {
		log.Fatal(err)
	}
	go http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		caller, _, _ := net.SplitHostPort(r.RemoteAddr)
		fmt.Fprintf(w, "hello %s", caller) // proven, not claimed
	}))

	client := &http.Client{Transport: &http.Transport{DialContext: alice.DialContext}}
	resp, err := client.Get("http://bob/")
	if err != nil {
		log.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	fmt.Println(string(body), err)
	// Output: hello alice <nil>
}

// A service has a number or a word. A stream can be ended in one direction, and its
// other direction read to the end.
func ExampleNode_Listen() {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	alice, bob, stop := start(ctx)
	defer stop()

	l, err := bob.Listen("tcp", ":shout")
	if err != nil {
		log.Fatal(err)
	}
	go func() {
		conn, err := l.Accept()
		if err != nil {
			return // the node was closed
		}
		defer conn.Close()
		said, _ := io.ReadAll(conn)
		io.WriteString(conn, strings.ToUpper(string(said)))
	}()

	conn, err := alice.DialContext(ctx, "tcp", "bob:shout")
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close()
	io.WriteString(conn, "good morning")
	conn.(interface{ CloseWrite() error }).CloseWrite()
	heard, err := io.ReadAll(conn)
	fmt.Println(string(heard), err)
	// Output: GOOD MORNING <nil>
}

// Voice and games want datagrams: fresh or not at all.
func ExampleNode_ListenPacket() {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	alice, bob, stop := start(ctx)
	defer stop()

	pc, err := bob.ListenPacket("udp", ":echo")
	if err != nil {
		log.Fatal(err)
	}
	go func() {
		buf := make([]byte, overlay.MaxDatagram)
		for {
			n, from, err := pc.ReadFrom(buf)
			if err != nil {
				return // the node was closed
			}
			pc.WriteTo(buf[:n], from)
		}
	}()

	conn, err := alice.DialContext(ctx, "udp", "bob:echo")
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close()
	buf := make([]byte, overlay.MaxDatagram)
	for { // a datagram may be lost: who needs an answer asks again
		conn.Write([]byte("ping"))
		conn.SetReadDeadline(time.Now().Add(time.Second))
		if n, err := conn.Read(buf); err == nil {
			fmt.Println(string(buf[:n]))
			return
		}
	}
	// Output: ping
}

// The directory says who is there, and who is not.
func ExampleNode_Lookup() {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	alice, bob, stop := start(ctx)
	defer stop()

	peer, err := alice.Lookup(ctx, bob.Name())
	fmt.Println(peer.Name, err)
	_, err = alice.Lookup(ctx, "carol")
	fmt.Println(errors.Is(err, overlay.ErrNotFound))
	// Output:
	// bob <nil>
	// true
}

// A chat shows who is there. Each name is told once, and whenever it changes.
func ExampleNode_Watch() {
	ctx, cancel := context.WithTimeout(context.Background(), 40*time.Second)
	defer cancel()
	alice, bob, stop := start(ctx)
	defer stop()

	for p := range alice.Watch(ctx, "bob", "carol") {
		fmt.Println(p.Name, p.State)
		switch {
		case p.Name == "bob" && p.State == overlay.PresenceOnline:
			if err := bob.Leave(ctx); err != nil {
				log.Fatal(err)
			}
		case p.Name == "bob":
			return
		}
	}
	// Unordered output:
	// carol offline
	// bob online
	// bob offline
}

// When the process is told to end, Leave has whoever is attached here find another place
// first: a planned reboot costs nobody a moment without an attachment.
func ExampleNode_Leave() {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	_, bob, stop := start(ctx)
	defer stop()

	told, end := signal.NotifyContext(ctx, os.Interrupt) // and SIGTERM, where there is one
	defer end()
	end() // elsewhere it comes from outside
	<-told.Done()
	leave, done := context.WithTimeout(ctx, 15*time.Second) // what shuts a machine down rarely waits longer
	defer done()
	if err := bob.Leave(leave); err != nil {
		fmt.Println("some were left without a place:", err)
	}
	_, err := bob.Lookup(ctx, "alice")
	fmt.Println("closed:", errors.Is(err, net.ErrClosed))
	// Output: closed: true
}

// A login server gives names to keys: the first key that claims a name owns it.
func ExampleListenLogin() {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	login, err := overlay.ListenLogin("127.0.0.1:0") // in earnest: WithStateDir, WithAdvertise
	if err != nil {
		log.Fatal(err)
	}
	defer login.Close()

	for range 2 { // two machines, two keys, one name
		network, err := overlay.New(overlay.WithInvite(login.Invite()), overlay.WithHealing(atOnce()))
		if err != nil {
			log.Fatal(err)
		}
		defer network.Close()
		_, err = network.Join(ctx, "alice", overlay.WithListenAddress("127.0.0.1:0"))
		fmt.Println("name taken:", errors.Is(err, overlay.ErrNameTaken))
	}
	// Output:
	// name taken: false
	// name taken: true
}

// The operator decides who may have a name.
func ExampleWithAdmission() {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	login, err := overlay.ListenLogin("127.0.0.1:0",
		overlay.WithAdmission(func(_ context.Context, who overlay.Applicant) error {
			if !strings.HasSuffix(who.Name, ".example") {
				return errors.New("names end with .example here")
			}
			return nil
		}))
	if err != nil {
		log.Fatal(err)
	}
	defer login.Close()
	network, err := overlay.New(overlay.WithInvite(login.Invite()), overlay.WithHealing(atOnce()))
	if err != nil {
		log.Fatal(err)
	}
	defer network.Close()

	_, err = network.Join(ctx, "mallory")
	fmt.Println(errors.Is(err, overlay.ErrRefused), strings.Contains(err.Error(), "names end with .example here"))
	_, err = network.Join(ctx, "alice.example")
	fmt.Println(err)
	// Output:
	// true true
	// <nil>
}

// A machine that only gives has no name.
func ExampleWithContributeOnly() {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	login, err := overlay.ListenLogin("127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	defer login.Close()
	network, err := overlay.New(overlay.WithInvite(login.Invite()), overlay.WithHealing(atOnce()))
	if err != nil {
		log.Fatal(err)
	}
	defer network.Close()

	giver, err := network.Join(ctx, "", overlay.WithContributeOnly(), overlay.WithRole(overlay.RoleSupernode))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("serves:", giver.Status().Supernode)
	_, err = giver.DialContext(ctx, "tcp", "bob:80")
	fmt.Println("calls:", !errors.Is(err, overlay.ErrContributeOnly))
	// Output:
	// serves: true
	// calls: false
}

// A patch day, rehearsed: 60 % of all machines reboot within a minute, and the login
// servers are down.
func ExampleNewSimulation() {
	s, err := overlay.NewSimulation(1)
	if err != nil {
		log.Fatal(err)
	}
	s.Add(300)
	if err := s.Run(10 * time.Minute); err != nil { // it grows and settles
		log.Fatal(err)
	}
	s.StopLogin()
	s.Reboot(0.6, time.Minute, 2*time.Minute)
	if err := s.Run(10 * time.Minute); err != nil {
		log.Fatal(err)
	}
	c := s.Census()
	fmt.Println(c.Running, c.Attached)
	// Output: 300 300
}

// A policy that can't be meant is refused, with a line for each field.
func ExampleWithHealing() {
	p := overlay.DefaultHealing()
	p.Patience = 0
	p.LoginLife = time.Minute // longer than the nodes wait for the answer

	_, err := overlay.New(overlay.WithHealing(p))
	fmt.Println(err)
	// Output:
	// overlay: WithHealing: Patience is 0s, it must be 100ms to 1m0s
	// LoginLife is 1m0s, it must be 0, which is for ever, or at most LoginPatience, 3s
}

// A policy is plain data: change a field, and rehearse the change before you trust it.
func ExampleHealingPolicy() {
	one := overlay.DefaultHealing()
	one.Attachments = 1 // instead of 2: cheaper, but is it as good?

	var least [2]float64
	for i, p := range []overlay.HealingPolicy{overlay.DefaultHealing(), one} {
		s, err := overlay.NewSimulation(1, overlay.WithHealing(p))
		if err != nil {
			log.Fatal(err)
		}
		s.Add(300)
		if err := s.Run(10 * time.Minute); err != nil {
			log.Fatal(err)
		}
		s.ResetCensus()
		s.CrashSupernodes(0.5)
		if err := s.Run(5 * time.Minute); err != nil {
			log.Fatal(err)
		}
		least[i] = s.Census().MinAttached
	}
	fmt.Println("two attachments keep more nodes reachable:", least[0] > least[1])
	// Output: two attachments keep more nodes reachable: true
}

// August 2007, small: at a busy hour 30 % of all machines reboot within five minutes.
func ExampleSimulation_WarmUp() {
	for _, p := range []overlay.HealingPolicy{overlay.Naive2007(), overlay.DefaultHealing()} {
		s, err := overlay.NewSimulation(1, overlay.WithHealing(p))
		if err != nil {
			log.Fatal(err)
		}
		s.Add(1000)
		if ordinary, err := s.WarmUp(15 * time.Minute); !ordinary {
			log.Fatal(err)
		}
		s.ResetCensus()
		s.Reboot(0.3, 5*time.Minute, 2*time.Minute)
		if err := s.Run(20 * time.Minute); err != nil {
			log.Fatal(err)
		}
		c := s.Census()
		ratio, healed := c.Ratio()
		fmt.Println("under 80 % attached:", 5*c.Attached < 4*c.Running, "- healed about as fast as possible:", healed && ratio < 1.5)
	}
	// Output:
	// under 80 % attached: true - healed about as fast as possible: false
	// under 80 % attached: false - healed about as fast as possible: true
}

// A quiet hour: 30 % of the users are there when half of the supernodes reboot.
func ExampleSimulation_Online() {
	s, err := overlay.NewSimulation(1)
	if err != nil {
		log.Fatal(err)
	}
	s.Add(1000)
	s.Online(0.3, 0)
	if ordinary, err := s.WarmUp(15 * time.Minute); !ordinary {
		log.Fatal(err)
	}
	s.ResetCensus()
	s.RebootSupernodes(0.5, 0, time.Minute)
	if err := s.Run(5 * time.Minute); err != nil {
		log.Fatal(err)
	}
	c := s.Census()
	fmt.Println(c.Running, c.Attached, c.SupernodesLost > 0)
	// Output: 300 300 true
}

// The comings and goings of three hosts, for a hundred machines. Copies of a host are up to
// 12 min ahead of it here, and do not go all at once.
func ExampleWithAvailability() {
	file := filepath.Join(os.TempDir(), "overlay-example.avt")
	trace := "a\t1\t0 9000\nb\t2\t0 900 2700 9000\nc\t1\t1800 9000\n" // id, sessions, start end ...
	if err := os.WriteFile(file, []byte(trace), 0o600); err != nil {
		log.Fatal(err)
	}
	defer os.Remove(file)
	s, err := overlay.NewSimulation(1, overlay.WithAvailability(file))
	if err != nil {
		log.Fatal(err)
	}
	s.Add(99)
	if ordinary, err := s.WarmUp(15 * time.Minute); !ordinary {
		log.Fatal(err)
	}
	fmt.Println(s.Census().Running)
	for range 3 {
		if err := s.Run(15 * time.Minute); err != nil {
			log.Fatal(err)
		}
		fmt.Println(s.Census().Running)
	}
	// Output:
	// 66
	// 33
	// 66
	// 99
}

package core

import (
	"github.com/ada420b6/overlay/internal/ident"
	"github.com/ada420b6/overlay/internal/vtime"
)

// InputKind says what has happened. The set is closed: nothing else can reach a
// machine.
type InputKind uint8

// The inputs.
const (
	InputStart     InputKind = iota // the process has come up: Start says with what
	InputTimer                      // the deadline that Next named has passed
	InputMessage                    // From sent Bytes
	InputReset                      // From says that it knows nothing of our session
	InputCookie                     // From is loaded and has given a cookie: ask again now
	InputNetwork                    // the network has changed, or the application says Retry
	InputLeave                      // the application wants to leave, gracefully
	InputLookup                     // the application asks for Name; Query, below 1<<31, names the question
	InputDial                       // the application asks for channels to From, which is called Name; At and Floor say where it is attached, by which record
	InputSilent                     // what is sent to From on Channel, by way of At[0], is not answered
	InputHangup                     // the application needs the channel to From no longer
	InputWatch                      // the application wants to be told whether the owner of Name is there
	InputUnwatch                    // and no longer
	InputCertified                  // a certificate came: Start.RenewIn says when to renew it, Start.Seq where its records begin
	InputCrowded                    // what this node forwards for others fills its budget, and is shared by many already
	InputIssued                     // the login server's driver has decided From's application: Status and Text
)

// Input is one thing that has happened.
type Input struct {
	Kind  InputKind
	Plain bool         // the message came outside of any session
	From  ident.Handle // the peer it is about; transient for a Plain message of a stranger

	// Origin and Group are the hash and the address group of the address that a
	// message came from, as the driver saw it.
	Origin uint64
	Group  ident.Group

	Bytes  []byte // the message; the machine does not keep it
	Start  Start
	Query  uint32
	Name   ident.NameID
	Floor  uint64 // of InputLookup: the sequence number below which a record is stale
	At     [2]ident.Handle
	Status uint8
	Text   []byte

	Channel uint64 // of InputSilent
}

// Start is what a node comes up with: its identity, its wishes, and what was on disk.
type Start struct {
	Self      ident.Handle
	Name      ident.NameID // 0 for a contribute-only node
	Key       [2]uint64    // keys the node's generator: the seed
	TicketKey [2]uint64    // keys the tickets it gives as a supernode: the same after every start
	Tickets   Tickets      // those it was given
	Seq       uint64       // first sequence number of its record, later than all it ever used
	Inc       uint32       // first incarnation as a supernode, later than all it ever used
	Role      Role
	Slots     uint32 // normal slots it offers as a supernode; 0 means the policy's
	WasSuper  bool   // it was a supernode when it went down
	Serving   bool   // it comes up as a supernode: a rehearsal that begins amid a network's life
	HasCert   bool   // it holds a certificate
	// RenewIn is how long from now the certificate should be renewed; no meaning
	// without one.
	RenewIn vtime.Duration
	// Doubted says that the certificate is over by this machine's clock. One of the two is
	// wrong: the node tries both, others and the login servers.
	Doubted bool
	// Roster is what it knew of the tier as a supernode.
	Roster []Known
}

// Known is a supernode remembered from before a reboot.
type Known struct {
	Peer ident.Handle
	Inc  uint32
	Dead bool
}

// Role is what a node may become.
type Role uint8

// The roles.
const (
	RoleAuto      Role = iota // ordinary, and supernode when the tier needs one and it can
	RoleNode                  // ordinary, never anything else
	RoleSupernode             // supernode from the start and for good
)

package wire

import (
	"github.com/ada420b6/overlay/internal/ident"
	"github.com/ada420b6/overlay/internal/vtime"
)

// LoginStatus is the outcome of an application for a certificate.
type LoginStatus uint8

// The outcomes.
const (
	LoginGranted LoginStatus = iota // the certificate follows
	LoginBusy                       // come back after Wait
	LoginTaken                      // the name belongs to another key
	LoginInvalid                    // the application is malformed or its proof is wrong
	LoginRefused                    // the operator says no; Text says why
)

// LoginReply answers a LoginRequest.
//
//	nonce 8 | status 1 | wait 4 | text (1 + n) | certificate, when granted
type LoginReply struct {
	Nonce  uint64         // of the request
	Status LoginStatus    // what became of it
	Wait   vtime.Duration // how long to stay away when Status is LoginBusy
	Text   []byte         // the reason of a refusal, for a person; at most MaxText bytes, those of the message
}

// Append appends the message to b. to is whose certificate to enclose.
func (m *LoginReply) Append(b []byte, book Book, to ident.Handle) []byte {
	b = header(b, KindLoginReply)
	b = u64(b, m.Nonce)
	b = append(b, byte(m.Status))
	b = wait(b, m.Wait)
	b = appendText(b, m.Text)
	if m.Status == LoginGranted {
		b = book.AppendCertificate(b, to)
	}
	return b
}

// Parse reads the message from b.
func (m *LoginReply) Parse(b []byte, book Book) error {
	r := read(b, KindLoginReply)
	m.Nonce = r.u64()
	m.Status = LoginStatus(r.upto(uint8(LoginRefused)))
	m.Wait = r.wait()
	m.Text = r.bytes(MaxText)
	if m.Status == LoginGranted {
		r.certificate(book)
	}
	return r.end()
}

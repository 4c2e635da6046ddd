// Package house holds the rules of the house as tests over the module's own source.
//
// A rule that only a document states is broken within a month. These are stated once,
// as data where they can be: which layer a package lives in, what the core may not
// import, how long a file may be, what a program that embeds the library compiles.
// Every rule comes with source that breaks it, so that a rule that has stopped seeing
// fails as well.
//
// The package has no code of its own and nothing imports it.
package house

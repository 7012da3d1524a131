// Package mtakit is the shared vocabulary of a mail-routing toolkit that answers like sendmail 8.17: addresses,
// destinations, routes, statuses, the small interfaces that tie its packages together, and the Resolver, which
// applies sendmail's precedence (virtusertable first, aliases second, ~/.forward third).
//
// Three words are kept apart. A Destination is what a table says. A Route is where a message goes: mailer, host and
// user. A Status is how it went.
//
// # Resolving
//
// A Resolver answers where mail for an address goes. Its slots are filled by the caller with the typed tables of the
// sibling packages, or with anything else that has the same small interface; the package example shows all of it.
// Resolve walks the whole way, Verify only as far as sendmail's RCPT command does, and ResolveText reads what sendmail
// -bv reads. A Resolution is a list of leaves, each a delivery, a failure, or a recipient that has to wait; Explain shows
// the tree above them, with file and line of every entry that decided something.
//
// # Differences from sendmail
//
//   - A branch of a list that leads back to itself, or to nothing at all, is a failed leaf (Leaf.Lost) where sendmail drops
//     it without a word as soon as anybody else gets the message.
//   - A table that cannot answer defers the recipient that asked it, and only that one.
//   - Mailertable values without mailer that lead in a circle are a verdict, 554 5.0.0.
//
// # Concurrency
//
// Values of this package are safe for concurrent use as long as nobody changes them. A Resolver may be used by several
// goroutines at once, as far as what is in its slots may.
package mtakit

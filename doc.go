// Package mtakit is the shared vocabulary of a mail-routing toolkit that answers like sendmail 8.17: addresses,
// destinations, routes, statuses, the small interfaces that tie its packages together, and the Resolver, which
// applies sendmail's precedence (virtusertable first, aliases second, ~/.forward third).
//
// Three words are kept apart. A Destination is what a table says. A Route is where a message goes: mailer, host and
// user. A Status is how it went.
package mtakit

// Package stats keeps sendmail's statistics file (StatusFile, sendmail.st) and prints it as mailstats(8) does. sendmail 8.17
// and this package may use one file at the same time.
//
// # File format
//
// One record of 1448 bytes: the C structure that sendmail holds in memory, on a machine with 64-bit numbers and the least
// significant byte first.
//
//	offset  bytes
//	     0      4  magic number 0x0001B1DE
//	     4      4  version, 4
//	     8      8  time of the first update, seconds since 1970
//	    16      2  size of the record, 1448
//	    18      6  padding
//	    24      8  connections accepted
//	    32      8  connections made
//	    40      8  commands or connections rejected
//	    48    200  messages from each of 25 mailers
//	   248    200  kilobytes of these
//	   448    200  messages to each mailer
//	   648    200  kilobytes of these
//	   848    200  messages rejected
//	  1048    200  messages discarded
//	  1248    200  messages quarantined
//
// What follows the record is kept and ignored. Mailers have numbers: 0 is prog, 1 is *file*, 2 is *include*, then come those
// of the configuration file in the order of its M lines.
//
// A kilobyte is 1000 bytes, and each message is rounded up to whole ones. Messages to a mailer are counted per recipient.
//
// An update reads the record, adds what was counted since the last update and writes the record back, under an exclusive
// flock(2). A file that is empty or holds something else is given a new record; one that does not exist stays so, unless
// Options.Create is set.
//
// # Counting events
//
// A Collector is a mtakit.Listener. It counts in memory and updates the file now and then, so that a delivery does not cost
// a write:
//
//	Accept      a message from FromMailer, of Size bytes
//	Report      the same for a report, except for clones
//	Deliver     a message to Mailer for every recipient, of Size bytes
//	Reject      a message from FromMailer (if known) rejected, or discarded when Err is nil; and a rejected connection
//	Quarantine  a message from FromMailer quarantined
//	Connect     a connection accepted when Text is "" or "connect", one made when it begins with "SMTP outgoing connect"
//
// # Portability
//
// On Windows the lock keeps off programs made with this module alone, and a symbolic link is followed.
//
// # Differences from sendmail
//
//   - The file is synced to disk after an update; sendmail leaves that to the system.
//   - The record of 32-bit machines, and versions before 4, are refused, as 8.17 on 64-bit machines does.
//   - A mailer that is not in the list of names is left out of the counts by mailer.
//
// # Concurrency
//
// A Collector is safe for concurrent use. Counters are plain values.
//
// Source: files written by sendmail 8.17.1.9; sendmail/op, the chapter on statistics; mailstats(8).
package stats

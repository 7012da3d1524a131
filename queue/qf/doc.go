// Package qf reads and writes sendmail's queue control files (qf, hf, tf, Qf) byte for byte.
//
// # Format
//
// A control file is a sequence of lines that end in LF (CR LF is read, too). The first character of a line is its
// type, the rest its value. A line that begins with a space or a tab continues the value of the line before it, newline
// and white space included. Bytes above 0x7f stand for themselves: nothing is UTF-8 here. Lines may be of any length.
//
//	V  version: 8 now; without it R lines have no flags
//	T  time of creation, seconds since 1970
//	K  time of the last attempt, 0 if never
//	N  number of attempts
//	P  priority, lowest first
//	d  queue directory of the data file when it is another one
//	I  device and inode of the data file: major/minor/inode
//	B  body type: 7BIT or 8BITMIME
//	q  quarantine reason
//	M  status text: of the message before S, of the next recipient after it
//	F  envelope flags
//	$  macro: one character or {name}, then the value
//	S  envelope sender
//	Z  ENVID in xtext
//	A  AUTH in xtext
//	!  Deliver-By: one binary byte, a space, seconds
//	C  controlling user of the recipients that follow: user:uid:gid:address, :address, or nothing
//	Q  ORCPT in xtext, for the next recipient
//	r  Final-Recipient, for the next recipient
//	R  recipient: flags, a colon, the address
//	H  header: ?condition?Name:value
//	D E L  obsolete, accepted and ignored
//	.  the end; nothing may follow
//
// A header condition is a set of mailer flags (?D?) or a macro (?${auth_type}?): the field is sent when the mailer
// has one of the flags or the macro a value. The first field is normally ?P?Return-Path with the bytes "<", 0x81, "g>":
// 0x81 and a letter are a macro that sendmail expands at delivery.
//
// # Reading and writing
//
// Parse reports every fault with its line and keeps all good lines; what a fault means for the queue entry (lost, or left
// alone because it may still be written) is told by the sentinel errors. File.WriteTo returns the very bytes that were
// read when nothing was changed, and otherwise sendmail's canonical order, which File.Append gives always. Lines that
// this package does not know stay in File.Extra and are written before the sender.
//
// # Differences from sendmail
//
// None in what is accepted. sendmail stops at the first fault of a file; Parse goes on and reports them all.
//
// # Concurrency
//
// A File is a plain value for one goroutine at a time. Locks on the file itself belong to the caller.
package qf

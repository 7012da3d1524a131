// Package dsn makes and reads delivery status notifications: the mail that tells a sender that a message failed, is late, or
// has arrived.
//
// # Making one
//
// New takes the original message and what happened to its recipients, leaves out what the sender did not want to hear (NOTIFY=,
// RFC 3461), and returns a Message to be queued, or nil when there is nobody to tell: a report is never sent to the null
// reverse-path. Failures of mail without a sender go to the postmaster, once. The message is written as a stream; the original
// is copied from where it lies.
//
// # Message format
//
// A notification is a multipart/report (RFC 6522) of three parts (RFC 3464):
//
//	text/plain                for people
//	message/delivery-status   for programs, below
//	message/rfc822            the original, or text/rfc822-headers: just its header, when the sender asked for that
//	                          (RET=HDRS), when nothing failed, or when it is big
//
// The part for programs is made of groups of fields: one about the message, then one for each recipient.
//
//	Reporting-MTA: dns; mx.example.org
//	Arrival-Date: Sun, 22 Nov 2026 08:05:28 +0000
//
//	Original-Recipient: rfc822; Ann@example.org      as the sender wrote it (ORCPT=)
//	Final-Recipient: rfc822; ann@example.net         as it was tried
//	Action: failed                                   or delayed, delivered, relayed, expanded
//	Status: 5.1.1                                    RFC 3463
//	Remote-MTA: dns; mx.example.net                  whose answer follows
//	Diagnostic-Code: smtp; 550 5.1.1 No such user
//
// For a message that needed SMTPUTF8, the parts are message/global-delivery-status, message/global and
// message/global-headers, and addresses are of type utf-8 (RFC 6533).
//
// # Reading one
//
// Parse reads the notifications of others, as real systems write them. Action decides: a delay never counts as a failure, and
// neither does what is missing or unknown.
//
// # Differences from sendmail
//
//   - The part for people is worded differently, and has no transcript of the session.
//   - A failure, a delay and a success of the same message may stand in one report or in several; the caller decides.
//   - "Full-Name" and "Return-Path" header fields are not made; delivery adds the latter.
//   - The sender address is MAILER-DAEMON@Host, in full.
//   - An original above Options.MaxOriginal is cut to its header.
//
// # Concurrency
//
// A Message may be written by several goroutines at once, as far as Original.Open allows it.
//
// Source: RFC 3461, 3462, 3464, 6522, 6533; reports made by sendmail 8.17.1.9.
package dsn

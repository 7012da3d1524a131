// Package smtp delivers mail by SMTP (RFC 5321) and LMTP (RFC 2033). A Mailer is a mtakit.Mailer.
//
// # Next hops
//
// Attempt.Host names the next hop:
//
//	example.com               a domain: its mail exchangers, found by the Planner
//	[mail.example.com]        a host: no MX
//	[192.0.2.1]               an address; also [IPv6:2001:db8::1]
//	mail.example.com:2525     a host and port, no MX; also 192.0.2.1:2525 and [IPv6:2001:db8::1]:2525
//	a.example:[b.example]     a list, tried in order
//	/run/lmtp.sock            a Unix socket
//
// An empty Host means the domain of the first recipient. Hosts are tried until every recipient has a verdict: the next
// one gets those for whom a host could not be reached, hung up before the final dot, or answered 4yz to MAIL, RCPT or
// DATA. After the final dot nothing is ever sent a second time. An address that could not be connected to is tried after
// the others for a minute.
//
// # Sessions
//
// Sessions are kept for reuse, by next hop; RSET goes ahead of each further transaction and tells whether the session
// is still alive. With a server that offers PIPELINING a transaction takes two round trips: RSET, MAIL, RCPT and DATA go
// in one packet, the message in the next ones. SIZE, BODY, SMTPUTF8 and the DSN parameters are passed on to servers that
// announce them. The message is streamed: LF becomes CRLF and dots are doubled on the way, nothing is held in memory.
//
// # Results
//
// Each recipient has its own Result. Errors are *mtakit.Error with sendmail's texts and statuses:
//
//	what happened                      Status        Text                              Reply
//	550, 551, 553 to RCPT              the reply's   User unknown                      550 5.1.1 …
//	501, 553 to MAIL                   the reply's   Data format error                 501 5.5.4 …
//	5yz to the dot, but not 55z        the reply's   Remote protocol error             521 …
//	5yz to DATA                        5.0.0         Service unavailable               554 5.6.0 …
//	5yz to the greeting or EHLO        5.5.0         Service unavailable               554 5.3.2 …
//	other 5yz                          the reply's   Service unavailable               554 5.7.1 …
//	4yz to DATA                        4.0.0         the reply's, without codes        451 4.3.0 …
//	4yz to the greeting or EHLO        4.5.0         the reply's                       421 4.3.2 …
//	other 4yz                          the reply's   the reply's                       451 4.7.1 …
//	refused connection                 4.4.1         Connection refused by mx.net.
//	time-out                           4.4.1, 4.4.2  Connection timed out with mx.net.
//	broken connection                  4.4.2         Connection reset by mx.net.
//	broken after the final dot         4.4.2         (none)
//	garbage                            4.5.0         Remote protocol error
//
// What a log shows after "Deferred: " is Reply when there is one, else Text; when both are empty it shows "Deferred" alone.
// Where a reply has no enhanced status, or one of another class, the usual one for its code takes its place. On success
// Reply is the text after the codes; the enhanced status stays in when the server did not announce
// ENHANCEDSTATUSCODES, as in sendmail's "stat=Sent (…)". Relay is "mx.example.net. [192.0.2.1]", or "[192.0.2.1]
// [192.0.2.1]" for a literal; IPv6 addresses are printed in full. The table was taken from what sendmail 8.17.1 does
// with each code at each stage.
//
// # Differences from sendmail
//
//   - A bare CR in a message is sent as a blank, and CRLF as one line end; sendmail sends bare CRs as they are.
//   - An 8-bit message is sent as it is to a server without 8BITMIME; sendmail converts it to quoted-printable.
//   - What is not a reply, or one that makes no sense (250 to DATA), defers; sendmail waits on or bounces.
//   - SMTPUTF8 is demanded of the next host only when an address or the header needs it.
//   - A next hop may carry a port or be a socket path; in sendmail that is the mailer's A= field.
//   - STARTTLS failures fall back to clear text in opportunistic mode (sendmail: TLSFallbacktoClear).
//
// # Concurrency
//
// A Mailer is safe for concurrent use. It starts no goroutine of its own; idle sessions end by timers, or with Close.
//
// Sources: RFC 5321, RFC 2033, RFC 2920, RFC 3461, RFC 1870, RFC 6152, RFC 6531, RFC 3207; sendmail usersmtp.c and
// deliver.c; op.me.
package smtp

// Package smtpd is the SMTP server side of the reference server: the dialogue of RFC 5321 in sendmail's words, and
// nothing of what happens to a message, which is a Session's business.
//
// It speaks PIPELINING (RFC 2920; replies are held back while more commands are waiting), SIZE (RFC 1870), 8BITMIME
// (RFC 6152), ENHANCEDSTATUSCODES (RFC 2034), DSN (RFC 3461), SMTPUTF8 (RFC 6531) and CHUNKING (RFC 3030).
//
// Only CR LF ends a line of a message. A bare CR or LF makes the message refused after it has been read to its
// end, so that two servers can never disagree about where one message stops and the next begins.
package smtpd

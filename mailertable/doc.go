// Package mailertable reads and queries sendmail's mailer tables: which mailer and which next hop carry mail for a domain
// that is not ours.
//
// # File format
//
//	# comment lines begin with a number sign in the first column
//	example.com      esmtp:[192.0.2.1]
//	.example.com     relay:hub.example.com
//	lists.test       local:list-manager
//	gone.test        error:5.1.2:550 No such domain
//	.                esmtp:smart.example.net:25
//
// It is the text form of makemap(8): the key ends at the first white space, the value is the rest of the line. There are
// no continuation lines. ASCII letters of keys are folded. When a key comes twice, the first entry stands and Parse
// reports the other one. A line may have 1022 bytes, unless Parser.MaxLine says otherwise.
//
// # Look-up
//
// For a.b.example.com the keys a.b.example.com, .b.example.com, .example.com, .com and the lone dot are tried, and the first
// value of the form mailer:host decides. A key with a leading dot does not match the domain itself. Address literals
// are never looked up. In a value, %1 stands for what is left of the matched suffix, %2 for the label next to the suffix, %0
// for the key, and %% for a percent sign.
//
// # Values
//
//   - mailer:host – the host as it stands. It may be in brackets (no MX look-up), carry a port, or be several hosts with
//     colons between; that is the mailer's business. mailer:user@host replaces the recipient, too.
//   - local:user – a local user, with aliases and forward file. local: keeps the user part.
//   - error:D.S.N:text, error:word:text or error:text – mail is refused; see mtakit.NewFail. Note the colon after the
//     word, where a virtusertable has a blank.
//   - a value without mailer, such as a host name alone, decides nothing. It takes the place of the domain in the rest of
//     the search.
//
// # Differences from sendmail
//
//   - Names of mailers come out in lower case.
//   - Values without mailer that lead in a circle end the search with a verdict, 554 5.0.0; sendmail reports the same but
//     goes on with an address made of the remains.
//   - The switch -T, which makes a temporary failure part of a name, does not exist: a table that cannot answer defers the
//     recipient.
//
// # Concurrency
//
// A Map is safe for concurrent use if its table is. A File is immutable once parsed.
//
// Source: sendmail cf/README, FEATURE(mailertable); sendmail 8.17's own answers; RFC 5321 section 5.
package mailertable

// Package logfmt writes and reads the lines that sendmail 8.17 logs: the maillog.
//
// A Writer is a mtakit.Listener that logs events as sendmail would, byte for byte; Parse takes a log apart again, and
// Stitch gathers the lines of each message into its history.
//
// # File format
//
//	Nov 22 08:13:17 mx sendmail[4404]: 6AM8DHw1004404: from=<jane@client.example.com>, size=51, class=0, nrcpts=1, msgid=<1@example.com>, proto=ESMTP, daemon=MTA, relay=client.example.com [192.0.2.55]
//	Nov 22 08:13:18 mx sendmail[4405]: 6AM8DHw1004404: to=<alice@example.org>, delay=00:00:01, xdelay=00:00:01, mailer=local, pri=30367, dsn=2.0.0, stat=Sent
//	\_____________/ \/ \_____________/ \____________/  \___________________
//	 time, no year  host  program[pid]    queue id      text
//
// On a syslog socket a line begins with <PRI> (facility*8 + severity; mail is facility 2) and has no host. A few kinds of
// line have "NOQUEUE" for the id, a few no id at all.
//
// In the text, backslash is doubled, TAB, LF and CR show as \t, \n, \r, and every other byte that is not printable ASCII
// as three octal digits: UTF-8 is logged as \303\251. Nothing is quoted: commas and equal signs inside values appear as
// they are, so that from= and to= lines must be read by the order of their fields:
//
//	from=A, size=N, class=N, nrcpts=N[, msgid=M][, bodytype=B][, proto=P][, daemon=D], relay=R
//	to=LIST[, ctladdr=A[ (uid/gid)]], delay=T[, xdelay=T][, mailer=M], pri=N[, relay=R | , quarantine=Q][, dsn=D][, reply=S], stat=TEXT
//
// LIST names the recipients of one transaction, the last one first. delay counts from acceptance, xdelay the attempt
// alone, both as [days+]hh:mm:ss. A negative number shows as 9223372036854775807. stat begins with Sent, Deferred or
// queued, or says why delivery failed for good.
//
// Long values are shortened to head...tail (ctladdr 83 bytes, relay host 40, reply and stat 203) or cut (from 200, msgid
// 100). A long LIST ends in ", [more]" and goes on in another line with the same fields. A text that is still longer
// than a syslog line allows is cut at commas or blanks into "ID[1]: … ...", "ID[2]: …" and so on.
//
// Other kinds of line that Parse knows, by Line.Kind: alias_rebuilt, alias_stats, auth, auth_failure, auth_other,
// bogus_queue_file, clone, collect, command, connect, daemon_restart, daemon_start, daemon_stop, did_not_issue,
// discarded, done, dsn, flood, losing, lost_input, makeconnection, message_too_big, milter, milter_io, milter_modify,
// milter_quarantine, milter_reject, possible_attack, pregreeting, quarantine, ruleset, runqueue, smtp_connect, smtp_in,
// smtp_out, split, split_part, starttls, starttls_other, syserr, timeout_input, unquarantine, user_error, and other.
//
// # Events and lines
//
//	Accept                        from= (LogLevel 5)
//	Deliver, Bounce, Queue, Defer to= (8, 7, 9, 9); an empty Stat is made from Kind, Reply and Err; ctladdr is Control.Origin,
//	                              which for an alias shows with programs and files only
//	Report                        NewID: Text: Stat, with Text "DSN", "sender notify", "return to sender", "postmaster
//	                              notify" (6), or "clone" with Stat "owner=…" (5)
//	Reject                        Text a rule set (check_relay, check_mail, check_rcpt): ruleset=…, reject=…; "Milter to":
//	                              Milter: to=…, reject=…; "": address... text. No Err means discard (4)
//	Quarantine                    quarantine=Text
//	Done                          done; delay=…, ntries=… (10)
//	Connect                       connect from Client (10); any other Text as it is (6)
//	Problem                       SYSERR(user): Text: Err (1); without Err, Text as it is
//
// # Portability
//
// On Windows a log that is open cannot be renamed: close the Writer first.
//
// # Differences from sendmail
//
//   - The queue id may stand in lines that sendmail logs without one, when the event has an id.
//   - SMTP replies to clients and commands (levels above 10) are logged only through Writer.Log.
//
// # Concurrency
//
// Formatters and Writers are safe for concurrent use. Lines and Messages belong to who received them.
//
// Source: lines captured from sendmail 8.17.1.9; sendmail/op, the chapter on the system log; RFC 3164.
package logfmt

// Package mbox reads, writes, repairs and safely appends to mailboxes in the mbox formats: all messages of a mailbox
// one after the other in one file.
//
// # File format
//
//	From ann@example.org Sun Nov 22 10:00:00 2026
//	Subject: lunch
//
//	Today at noon?
//	>From Bob we have not heard yet.
//
//	From bob@example.org Sun Nov 22 10:05:00 2026
//	…
//
// A message begins with a From_ line: "From ", the envelope sender, a blank, and the date of delivery in the form of
// asctime(3), which has no zone. Its text follows, header, empty line and body, with LF line ends; then comes one
// empty line that does not belong to it. More empty lines do. A null sender is written MAILER-DAEMON.
//
// What a body line that itself begins with "From " becomes is where the variants differ:
//
//   - mboxo: "From " becomes ">From ". A reader cannot tell it from a line that had been written ">From ".
//   - mboxrd: ">" is put before every line that matches ">*From ", and one is taken off again. Nothing is lost; this
//     is the default.
//   - mboxcl: as mboxo, and a Content-Length field says how many bytes the stored body has.
//   - mboxcl2: nothing is quoted in the body; only Content-Length tells where a message ends.
//
// A Content-Length is believed only when, that far on, the file ends or a separator stands there (after at most two line
// ends). The field's first occurrence counts; a value that is not 1 to 18 digits is no value.
//
// Not every line that begins with "From " is meant as a separator: people write such lines, and not every program
// quotes them. In mode Strict (see ParseSeparator for the grammar) a line counts when a date stands where it belongs;
// in mode Any, every line counts. Auto, the default, takes the first separator of the file as its guide. An empty line
// before a separator is not required, since procmail's mailboxes often lack it; NeedBlank requires it.
//
// The line ends of what is read are never converted. A byte order mark and empty lines before the first separator
// are skipped; other text there is ErrNotMbox, or skipped on request.
//
// # Reading
//
// A Reader gives one message after the other, each as an io.Reader, in memory that does not grow with the mailbox.
// BuildIndex finds where all messages are, for random access, and can be saved. Detect guesses the variant. Damages and
// Repair look after files that crashes and careless programs left.
//
// # Writing
//
// Append is what a mail delivery agent needs: it checks that the mailbox is nothing but a plain file, takes the locks
// that other mail programs take (fcntl, then NAME.lock, unless told otherwise), completes a bad end, writes, and
// syncs. When something fails, the file is cut back to what it was before. Rewrite and Delete change a mailbox in
// place, with a journal. A Writer makes new files.
//
// Locks are taken so that programs with another order do not deadlock with us: the first is waited for, the
// others only tried; when one is held, all are released, and after a short random wait everything begins anew. A
// dotlock is broken when it is older than five minutes and did not change while we waited, or names a process
// of this machine that is gone.
//
// What a power failure leaves: every message whose Append returned nil. Of a message whose Append had not returned, a
// part may stand at the end of the file, as with other programs; the next Append separates its message from it.
// AppendOptions.Journal avoids even that. Rewrite either happened or not, once Recover, Append or Rewrite has looked
// at the mailbox again.
//
// # Coming from go-mbox
//
// NewReader with NextMessage, and NewWriter with CreateMessage and Close, have the names and shapes of
// github.com/emersion/go-mbox. What changes: line ends stay as they are instead of becoming CRLF; the From_ line can be
// asked for (Next returns a *Message); quoting is undone; prose that begins with "From " no longer splits a
// message; exactly one empty line separates messages; and memory is used again instead of allocated anew.
//
// # Portability
//
// Fcntl is a lock of the open file on Linux. On other Unix systems it belongs to the process: whatever in this process opens
// and closes the mailbox by other means drops it, and it excludes Flock even for the same file, so that only one of both can
// be used. Locks of the kernel keep off programs made with this module alone on Windows, where owners and links are not
// checked, a dead holder of a dotlock is told by its age, and new names are durable when the file system has written them.
//
// # Differences from sendmail
//
//   - sendmail's own appending (mailer *file*) writes mboxo with flock(2) alone: package mailer's File does so, too.
//     mail.local writes mboxcl2. The default here is mboxrd.
//   - mail.local keeps blanks in a sender and writes an empty one as it is; here they become "-" and
//     MAILER-DAEMON, because readers reject the others. Envelope.Line writes any line.
//   - mail.local writes stale bytes after a body without a final line end; here the line end is added.
//
// # Concurrency
//
// A Reader, its Messages and a Writer belong to one goroutine. An Index may be read by several. Append, Rewrite, Delete
// and Recover may be called by any number of goroutines and processes; appends of one process to the same mailbox
// share the locks and the sync.
//
// Source: mbox(5) of qmail, RFC 4155, the manuals of procmail, Postfix and Dovecot, and what those programs do.
package mbox

// Package maildir delivers to, reads and changes Maildirs: mailboxes that are a directory with one file a message, and
// that need no locks.
//
// # File format
//
//	Maildir/
//	  tmp/   1795347003.M391825P4240Q1R4d7068933341c6b9.mx            being written
//	  new/   1795347003.M391825P4240Q1R4d7068933341c6b9.mx,S=1822     delivered, seen by no mail reader yet
//	  cur/   1795347003.M391825P4240Q1R4d7068933341c6b9.mx,S=1822:2,FS   seen by one; flags F and S
//	  maildirsize                                                      quota, see below
//	  .Lists.Go/   cur new tmp maildirfolder                           the folder Go in the folder Lists
//
// A file holds a message as it is: header, empty line, body, LF line ends, no From_ line, no quoting. Files never change
// once they have left tmp. A name is a base that is unique for ever, and an info part after a colon:
//
//   - base: seconds since 1970, a dot, fields that make it unique (M microseconds, P process, Q number, R random, …), a
//     dot, the host; then sizes: ,S= the file's bytes, ,W= the same with CR LF line ends.
//   - info: "2," and flags in ASCII order: D draft, F flagged, P passed on, R replied, S seen, T trashed; a to z are
//     keywords, named in the file dovecot-keywords. The flags end at a comma. Other characters mean nothing here and
//     are kept. A message without, or with another info part, has no flags.
//
// The base is what stands before the first colon, the info part what stands after the last. Names that begin with a dot,
// directories, and links to nothing are no messages. File systems without colons need another Separator, which is never
// guessed.
//
// # Delivery
//
// Deliver writes to tmp, syncs the file, renames it to new and syncs that directory before it returns. The rename cannot
// replace anything, because the name has never been used. Since there are no locks, a delivery never waits for a reader.
//
// # Reading
//
// A message may be renamed by another program at any time. All streams names in directory order and may miss such a
// message or show it twice; List, Watch, Open and the methods that change a message look again before they say that it
// is gone. Nothing is ever overwritten: when a name is taken by another message, the message gets a new base.
//
// # Folders
//
// Folders are those of Maildir++: the folder A/B is the directory ".A.B", its name in the modified UTF-7 of IMAP. A
// directory is a folder when it has cur and no empty part in its name.
//
// # Quota
//
// The file maildirsize begins with the limits ("100000S,100C": bytes, messages), and goes on with lines of bytes and
// messages to be added up. The folder Trash and messages with the flag T do not count. The sums drift; they are
// counted anew when the file has 5120 bytes or more, cannot be read, has other limits or a negative sum, or shows more
// than the quota and is not fresh.
//
// # Portability
//
// Windows has no file names with colons: set Options.Separator, or messages cannot get flags. A name is durable there when
// the file system has written it, since no call asks for that. Watch is told of changes on Linux and looks every two seconds
// elsewhere.
//
// # Differences from sendmail
//
// sendmail itself has no Maildir; its sites use procmail or another delivery agent. Unlike procmail and maildrop,
// this package syncs, so that a message survives a power failure once Deliver returned.
//
// # Concurrency
//
// A Dir may be used by any number of goroutines, and a Maildir by any number of programs. A Delivery
// belongs to one goroutine.
//
// Source: https://cr.yp.to/proto/maildir.html, the Maildir++ description of Courier, the documentation and behaviour
// of Dovecot.
package maildir

// Package mailer holds the local delivery agents, each an mtakit.Mailer: Maildir, Mbox, File (sendmail's *file*), Program
// (its prog), and Discard. Delivery by SMTP and LMTP is in mailer/smtp.
//
//	mailers := map[string]mtakit.Mailer{
//		mtakit.MailerLocal:   &mailer.Maildir{Path: "/home/%u/Maildir"},
//		mtakit.MailerFile:    &mailer.File{},
//		mtakit.MailerProgram: &mailer.Program{},
//		mtakit.MailerDiscard: mailer.Discard,
//	}
//
// What a route's User means is up to the mailer: a login name for Maildir and Mbox, an absolute path for File, a command
// for Program, with or without its leading bar. Every recipient of an attempt gets a delivery and a Result of its own.
//
// # Durability
//
// A nil error means that the message is synced to disk (Maildir, Mbox, File), or that the program took it. After an error
// the mailbox is as it was.
//
// # Rights
//
// A process of root delivers with the rights of the user: Maildir and Mbox with those of the account that Accounts gives,
// File and Program with those of the recipient's controlling user. A recipient without one, and root, stand for
// daemon. File's and Mbox's rights are those of a thread (setfsuid(2)), so that deliveries for different users go on
// side by side. Only Linux can do that: on other systems a process of root puts such deliveries off instead of making them
// as root, and programs start in the root directory. Processes of other users deliver with the rights they have.
//
// # Errors
//
// Errors are *mtakit.Error. A full disk is 452 4.3.1, an exceeded disk quota 452 4.2.2 (or 552 5.2.2 on request), a
// mailbox over its limit 552 5.2.2, a locked mailbox 450 4.2.0. The exit code of a program has the meaning of
// sysexits(3), with sendmail's reply codes, status and texts: 67 is 550 5.1.1 User unknown, 75 asks to try again, and
// a code that is none of them is 554 5.0.0 unknown mailer error. Everything unexpected is temporary.
//
// # Portability
//
// Program needs a Unix system: elsewhere its deliveries are put off with errors.ErrUnsupported.
//
// # Differences from sendmail
//
//   - Program ends a command that runs too long (Timeout) with all that it started; sendmail waits for ever.
//   - File syncs the file, and cuts back what it could not write whole. sendmail follows neither symbolic links nor
//     writes to files with several links or an execute bit; neither does File.
//   - A file in a directory that is not there, or that may not be written, fails for good with "Can't create output",
//     as in sendmail. For Mbox and Maildir the same is temporary: it is the administrator's mistake.
//
// # Concurrency
//
// Mailers may be used by any number of goroutines once their fields are set.
//
// Source: sendmail deliver.c (mailfile, deliver), sysexits.c; op.me, the chapter on mailers; sysexits(3).
package mailer

// Package forward finds, checks and reads the .forward files of local users.
//
// # File format
//
//	# keep a copy, and send one elsewhere
//	\ann, ann@example.org
//	"|/usr/bin/vacation ann"
//	/home/ann/archive
//	:include:/home/ann/friends
//
// Each line is a list of addresses as mtakit.ParseList reads it. Empty lines and lines that begin with # say nothing;
// " #@# " starts a comment anywhere else, and CR before the end of a line is dropped. Lines are not joined.
//
// A user who is named in the user's own file gets the mail into the mailbox; so does \ann, without another look at aliases
// and forward files. A file without any address leaves the mail in the mailbox, too.
//
// # Which file
//
// Options.Path lists file names, separated by colons, in which $z stands for the home directory, $u for the user, $h for
// the detail of user+detail, $j for the full host name, $w for its first label and $m for the rest; $?h then $| else $.
// depends on a macro being set. The first file that can be opened ends the search, even if it is empty.
//
// # Which files are believed
//
// A file is looked at with the rights of the user. Every directory on the way to it must not be writable by its group or
// by others, whoever owns it; links among the directories are followed and looked at. The file must be a regular one or a
// link to one, neither group nor others may write to it, it must belong to the user or to root, and the user must be
// able to read it. A file that is refused is skipped and named in the Warnings of the answer.
//
// The words of mtakit.DontBlame relax this. A file that is accepted although others could have changed it speaks for
// addresses only: Expansion.Unsafe is the verdict on programs and files in it. The same holds for users whose login
// shell is not in /etc/shells.
//
// Three outcomes are kept apart: no file, a file that is refused (both leave the mail in the mailbox), and a file that
// cannot be told about now, which defers the mail.
//
// # Restricted shell
//
// Smrsh is the policy of sendmail's smrsh(8): which programs a forward file may run, and what a command may contain.
//
// # Portability
//
// New fails on Windows with errors.ErrUnsupported: files have no owners and modes there by which to believe them.
//
// # Differences from sendmail
//
//   - A detail with a slash is not put into file names.
//   - A file may have 16 MiB and lines of 64 KiB; longer lines are an error for themselves. sendmail cuts a line after 2047
//     bytes and takes the rest for another one.
//   - When this process is not root, a file that its user could read, but this process cannot, defers the mail. sendmail
//     with RunAsUser takes it for refused.
//   - NonRootSafeAddr is of no use: whose rights programs get is the mailer's business.
//
// # Concurrency
//
// A Forward and a Smrsh may be used by several goroutines at once.
//
// Source: sendmail Installation and Operation Guide, sections 4.8 and 5; sendmail 8.17.1; smrsh(8).
package forward

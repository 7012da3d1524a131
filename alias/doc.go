// Package alias reads, queries and compiles sendmail's alias files: names that stand for other addresses, files,
// programs and lists.
//
// # File format
//
//	# comment
//	postmaster: root
//	staff:      ann, bob@example.org,
//	            "Carol C." <carol>
//	archive:    /var/mail/archive, \ann
//	robot:      "|/usr/local/bin/robot --mail"
//	team:       :include:/etc/mail/team.list
//	owner-team: ann
//	sales+web:  bob
//	sales+*:    sales
//
// Lines are joined before anything else is looked at: a backslash before the line break removes both, and a line that
// begins with a blank or tab continues the one before it, its blanks included. This holds for comments, too: an indented
// line after a comment belongs to the comment, and an indented comment belongs to the entry above it. A joined line may
// have 8190 bytes.
//
// A joined line that is empty or begins with # says nothing. One that begins with a blank is an error, which can only
// happen at the start of the file or after an ignored line. Every other line is an entry: key, colon, value.
//
// The key is an address of the local mailer. Comments, names in front of angle brackets, quotes around a single word and
// a local domain are removed, and letters become lower case. It ends at the first colon outside of quotes, the value
// begins after the first colon of all. Blanks before the value are dropped, those behind it are part of it.
//
// The value is a list as mtakit.ParseList reads it. When a key is repeated the last entry counts.
//
// # Looking up
//
// A Map looks a local user up as user+detail, then as user+*, then as user. There is no wildcard for other names. Names
// with a backslash are not looked up, and \name in a value means the mailbox of name itself. After the entry of a name
// the key owner-name is looked up: if it exists, its value becomes the envelope sender of what goes to the members, or
// owner-name itself when the value is more than one plain address. The names owner-… share owner-owner.
//
// # List files
//
// An Includer reads the files of :include: members. Each line is a list; empty lines and those that begin with # say
// nothing, and " #@# " starts a comment anywhere. Lines are not joined. The file must be a regular one that neither
// group nor others may write, in directories of the same kind, and readable by the controlling user. Its owner becomes
// the controlling user of the programs and files in it if it is named in an alias.
//
// # Compiling
//
// Newaliases and Builder do what newaliases(8) does, with its messages and exit statuses, and store the entries through
// the Database and Store that they are given. Praliases prints as praliases(8).
//
// # Portability
//
// On Windows, where files have no owners and modes by which to judge them, NewIncluder and Newaliases fail with
// errors.ErrUnsupported; everything else works.
//
// # Differences from sendmail
//
//   - A NUL byte is part of its line. sendmail 8.17 takes it for the end of a line that is too long and loses the next one.
//   - A list file may have 16 MiB and lines of 64 KiB; longer lines are an error for themselves. sendmail cuts a line after
//     2047 bytes and takes the rest for another one.
//   - A list file whose directories cannot be read by this process is tried again later, since its user could read it.
//   - A key of exclamation marks alone is an ordinary name; sendmail's address rules do not come to an end with it.
//   - Keys are checked by the stock address rules. The virtusertable and local rules are not asked about them.
//
// # Concurrency
//
// A File is immutable; Set and Remove make new ones. Files, Maps and Includers may be used by several goroutines at once.
// A Parser, Builder or Newaliases may be, too, as long as nobody changes it.
//
// Source: aliases(5); sendmail Installation and Operation Guide, section 3.3; sendmail 8.17.1.
package alias

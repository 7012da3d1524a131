// Package lint finds mistakes in the tables of a mail server, and tells which addresses a change of the tables sends
// elsewhere.
//
//	tables, err := lint.Load("/etc/mail", &lint.Options{Hostname: "mx.example.org"})
//	…
//	for _, f := range lint.Check(ctx, tables, nil) {
//		fmt.Println(f) // /etc/mail/aliases:12:1: error: loop: …
//	}
//
// # Tables
//
// A directory holds the text of aliases, virtusertable, mailertable, access, local-host-names and relay-domains, each
// of which may be missing, and may hold passwd, lines of passwd(5) that name the local users. Load reads them;
// Tables.Resolver and Tables.Policy put them together as a server does.
//
// # Findings
//
// Check asks the very code that delivers: a loop is an alias that Resolve says loops, a shadowed entry is one that a
// look-up made for it does not meet.
//
//	syntax           a line that cannot be read, and is left out
//	duplicate-key    a key that is given twice; one of the entries never counts
//	shadowed-key     an entry that never decides anything because others are met before it
//	unreachable-key  a key that no look-up can ask for
//	loop             an entry that leads back to itself
//	dangling-target  an entry that leads to a local user who does not exist
//	broken-target    an entry that leads to something that can never be delivered to
//	no-postmaster    there is no postmaster, whom RFC 5321 section 4.5.1 demands
//	not-our-domain   a virtusertable entry for a domain that is not local: it is never asked
//	local-domain     a mailertable entry for a domain that is local: it is never asked
//	no-mailer        a mailertable value that names no mailer, and so delivers nowhere
//	catch-all        a catch-all entry that takes the mail of users and aliases who exist
//	open-relay       permission to relay for far too many
//	unsafe-mode      a table, list or directory that others may write to
//	missing-file     a program, list or directory that an alias speaks of and that does not exist
//
// # Portability
//
// On Windows owners and modes of files are not judged.
//
// # Limits
//
// Forward files belong to users and are only looked into when Options.Forward is set. Domains of other sites are not
// looked up. Programs are not run.
//
// # Concurrency
//
// Tables are immutable once loaded; all functions may be called by several goroutines at once.
package lint

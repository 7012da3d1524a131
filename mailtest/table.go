package mailtest

import (
	"os"
	"path/filepath"
	"testing"
)

// TableKind names a sendmail table.
type TableKind string

// The kinds of table.
const (
	Aliases       TableKind = "aliases"
	Forward       TableKind = "forward"
	Virtusertable TableKind = "virtusertable"
	Mailertable   TableKind = "mailertable"
	Access        TableKind = "access"
)

// Table is the text of a table, good or broken.
type Table struct {
	Kind        TableKind
	Name, About string
	Text        string
	Bad         []int // the lines that a parser complains about, from 1; none means that the table is good
}

// Write writes the table to a file named for its kind in a new directory and returns the path.
func (t Table) Write(tb testing.TB) string {
	tb.Helper()
	path := filepath.Join(tb.TempDir(), string(t.Kind))
	if err := os.WriteFile(path, []byte(t.Text), 0o644); err != nil {
		tb.Fatal(err)
	}
	return path
}

// Tables lists sample tables of all kinds. They belong together: domain example.org is local, example.com and
// example.net are virtual, and ann, bob and carol have accounts.
func Tables() []Table {
	return []Table{
		{Aliases, "usual", "what most sites have", `# who gets what
postmaster: ann
MAILER-DAEMON: postmaster
abuse:	postmaster
root: ann, bob

team: ann, bob,
	carol
owner-team: ann
`, nil},
		{Aliases, "every-form", "every kind of member", `user: ann
escaped: \ann
address: carol@example.com
file: /var/mail/archive
program: "|/usr/bin/vacation ann"
include: :include:/etc/mail/lists/team
many: ann, \bob, "|/bin/cat", /tmp/box, :include:/etc/list
"quoted name": ann
self: self, bob
`, nil},
		{Aliases, "loop", "names that lead to each other, and to themselves alone", "a: b\nb: c\nc: a\nme: me\n", nil},
		{Aliases, "no-colon", "a line without colon among good ones", "ann2: ann\nthis is no alias\nbob2: bob\n", []int{2}},
		{Aliases, "lost-continuation", "a continuation of nothing at the beginning", "  ann, bob\nteam: ann\n", []int{1}},
		{Aliases, "empty", "no bytes at all", "", nil},
		{Aliases, "no-final-newline", "the last line has no line end", "postmaster: ann\nabuse: bob", nil},

		{Forward, "keep-a-copy", "to another address and to the own mailbox", "\\ann, ann@example.com\n", nil},
		{Forward, "vacation", "a program and the own mailbox", "\\ann\n\"|/usr/bin/vacation ann\"\n", nil},
		{Forward, "comments", "comments and empty lines around an address", "# away until Monday\n\n  bob\n# end\n", nil},
		{Forward, "self", "the user's own name", "ann\n", nil},

		{Virtusertable, "usual", "addresses, catch-all, error", `info@example.com	ann
sales@example.com	bob@example.org
@example.net	%1@example.org
nobody@example.com	error:nouser No such user here
@example.com	carol
`, nil},
		{Virtusertable, "plus-detail", "detail in the key and in the value", "ann+*@example.com	ann+%2@example.org\nann@example.com	ann\n", nil},
		{Virtusertable, "key-alone", "a key without value", "info@example.com	ann\nsales@example.com\n@example.net	bob\n", []int{2}},

		{Mailertable, "usual", "smart host, literal, subdomains, error, discard", `example.com	esmtp:[mail.example.com]
.example.com	relay:hub.example.org
lit.example.net	esmtp:[192.0.2.1]
bad.example.net	error:5.1.2:550 No such host
hole.example.net	discard:
.	esmtp:smart.example.org
`, nil},
		{Mailertable, "list", "several hosts", "example.com	esmtp:a.example.com:b.example.com\n", nil},
		{Mailertable, "key-alone", "a key without value", "example.com\nexample.net	esmtp:[192.0.2.1]\n", []int{1}},

		{Access, "usual", "every tag and verdict", `Connect:192.0.2	RELAY
Connect:spam.example	REJECT
From:bad@example.com	ERROR:5.7.1:550 We do not want your mail
To:ann@	REJECT
example.net	OK
From:quiet@example.com	DISCARD
Connect:198.51.100.7	ERROR:4.7.1:"451 Later"
`, nil},
		{Access, "key-alone", "a key without value", "Connect:192.0.2	RELAY\nexample.com\n", []int{2}},
		{Access, "crlf", "CRLF line ends", "Connect:192.0.2	RELAY\r\nexample.net	OK\r\n", nil},
		{Access, "latin1", "bytes outside ASCII in a comment and a text", "# caf\xe9\nexample.net	ERROR:5.7.1:550 Kein Zugriff f\xfcr Sie\n", nil},
	}
}

package mtakit

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestParseList(t *testing.T) {
	mailbox := func(local, domain string) Destination { return Mailbox{Address{local, domain}} }
	for _, tt := range []struct {
		name, text string
		want       []Destination
		texts      []string // nil means not checked
	}{
		{name: "names and addresses", text: "ann, bob@example.org,carol", want: []Destination{
			mailbox("ann", ""), mailbox("bob", "example.org"), mailbox("carol", "")},
			texts: []string{"ann", "bob@example.org", "carol"}},
		{name: "phrase and comment", text: `Ann Example <ann@example.org>, "bob" (Bob, too)`, want: []Destination{
			mailbox("ann", "example.org"), mailbox("bob", "")},
			texts: []string{"Ann Example <ann@example.org>", `"bob" (Bob, too)`}},
		{name: "not aliased further", text: `\ann, "\bob", \carol@example.org`, want: []Destination{
			User{Address{"ann", ""}}, User{Address{"bob", ""}}, User{Address{"carol", "example.org"}}}},
		{name: "file", text: `/var/mail/archive, "/tmp/x y"`, want: []Destination{File{"/var/mail/archive"}, File{"/tmp/x y"}}},
		{name: "path with a domain is an address", text: "/tmp/x@example.org", want: []Destination{mailbox("/tmp/x", "example.org")}},
		{name: "program", text: `"|/bin/x -a \"b\", c", |/bin/y, |"/bin/z 1"`, want: []Destination{
			Pipe{`/bin/x -a "b", c`}, Pipe{"/bin/y"}, Pipe{"/bin/z 1"}},
			texts: []string{`"|/bin/x -a \"b\", c"`, "|/bin/y", `|"/bin/z 1"`}},
		{name: "include", text: `:include:/etc/list, ":Include: /etc/my list"`, want: []Destination{
			Include{"/etc/list"}, Include{"/etc/my list"}}},
		{name: "group", text: "staff: ann, bob;", want: []Destination{mailbox("ann", ""), mailbox("bob", "")},
			texts: []string{"staff: ann", "bob;"}},
		{name: "source route", text: "<@a,@b:ann@example.org>, bob", want: []Destination{mailbox("ann", "example.org"), mailbox("bob", "")}},
		{name: "blanks do not separate", text: "ann bob", want: []Destination{mailbox("ann.bob", "")}},
		{name: "comments and commas only", text: ", (x),,", want: nil},
		{name: "error has no meaning here", text: "error:5.1.1:550 no", want: []Destination{mailbox("5.1.1:550.no", "")}},
		{name: "open quote is repaired", text: `ann, "bob`, want: []Destination{
			mailbox("ann", ""), Fail{Code: 553, Status: StatusPermanent, Text: `Unbalanced '"'`, Exit: 64}, mailbox("bob", "")}},
		{name: "open bracket ends at the comma", text: "<ann, bob", want: []Destination{
			Fail{Code: 553, Status: StatusPermanent, Text: `Unbalanced '<'`, Exit: 64}, mailbox("ann", ""), mailbox("bob", "")}},
		{name: "empty quotes", text: `""`, want: []Destination{Fail{Code: 553, Status: StatusMailboxSyntax, Text: "User address required", Exit: 64}}},
		{name: "no domain", text: `ann@`, want: []Destination{Fail{Code: 553, Status: StatusMailboxSyntax, Text: "Hostname required", Exit: 64}}},
		{name: "line end is a blank", text: "ann,\r\n\tbob\n", want: []Destination{mailbox("ann", ""), mailbox("bob", "")},
			texts: []string{"ann", "bob"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			pos := Position{File: "aliases", Line: 3}
			var got []Destination
			var texts []string
			for _, m := range ParseList(tt.text, pos) {
				assert.Equal(t, pos, m.Pos)
				got, texts = append(got, m.To), append(texts, m.Text)
			}
			assert.Equal(t, tt.want, got)
			if tt.texts != nil {
				assert.Equal(t, tt.texts, texts)
			}
		})
	}
}

func TestParseDestination(t *testing.T) {
	for text, want := range map[string]Destination{
		"ann":                       Mailbox{Address{"ann", ""}},
		`\ann`:                      User{Address{"ann", ""}},
		"/var/mail/x":               File{"/var/mail/x"},
		`"|/bin/x y"`:               Pipe{"/bin/x y"},
		":include:/etc/x":           Include{"/etc/x"},
		"error:5.1.1:550 Not here":  Fail{Code: 550, Status: StatusBadMailbox, Text: "Not here"},
		"error:4.2.1:Busy":          Fail{Status: StatusMailboxDisabled.AsTemporary(), Text: "Busy"},
		`"a b"@example.org`:         Mailbox{Address{"a b", "example.org"}},
		`"|/bin/x -a \"b\" \\ c,d"`: Pipe{`/bin/x -a "b" \ c,d`},
	} {
		got, err := ParseDestination(text)
		require.NoError(t, err, text)
		assert.Equal(t, want, got)
		assert.Equal(t, text, got.String())
	}
	for _, text := range []string{"", "(x)", "a, b", `"a`, "a@", `""`} {
		_, err := ParseDestination(text)
		assert.Error(t, err, text)
	}
}

package mbox

import (
	"io"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// From_ lines beyond those of the vectors. What stands between time and year is settled by what Dovecot, formail and
// mutt take for a separator.
func TestParseSeparator(t *testing.T) {
	for name, c := range map[string]struct {
		line   string
		valid  bool
		sender string
		date   string // "" if unknown
		zone   string
	}{
		"plain":                      {"a@b Thu Jan  1 00:00:01 2015", true, "a@b", "2015-01-01T00:00:01Z", ""},
		"colon zone":                 {"a@b Thu Jan  1 00:00:01 +01:00 2015", true, "a@b", "2014-12-31T23:00:01Z", "+01:00"},
		"zone name with slash":       {"a@b Thu Jan  1 00:00:01 Europe/Berlin 2015", true, "a@b", "2015-01-01T00:00:01Z", "Europe/Berlin"},
		"zone name with offset":      {"a@b Thu Jan  1 00:00:01 GMT+2 2015", true, "a@b", "2015-01-01T00:00:01Z", "GMT+2"},
		"zone in parentheses":        {"a@b Thu Jan  1 00:00:01 (CET) 2015", true, "a@b", "2015-01-01T00:00:01Z", "(CET)"},
		"zone that names hours":      {"a@b Thu Jan  1 00:00:01 +03 2015", true, "a@b", "2015-01-01T00:00:01Z", "+03"},
		"PM":                         {"a@b Thu Jan  1 00:00:01 PM 2015", true, "a@b", "2015-01-01T00:00:01Z", "PM"},
		"three zones":                {"a@b Thu Jan  1 00:00:01 A B C 2015", false, "a@b", "", ""},
		"number before the year":     {"a@b Thu Jan  1 00:00:01 1 2015", false, "a@b", "", ""},
		"year with more behind it":   {"a@b Thu Jan  1 00:00:01 2015x", false, "a@b", "", ""},
		"leap second":                {"a@b Thu Dec 31 23:59:60 2015", true, "a@b", "2016-01-01T00:00:00Z", ""},
		"leap second, no such day":   {"a@b Thu Jan 99 06:35:60 1900", true, "a@b", "", ""},
		"leap second, February 30":   {"a@b Thu Feb 30 06:35:60 1900", true, "a@b", "", ""},
		"second 61":                  {"a@b Thu Dec 31 23:59:61 2015", true, "a@b", "", ""},
		"February 29":                {"a@b Thu Feb 29 00:00:01 2016", true, "a@b", "2016-02-29T00:00:01Z", ""},
		"February 29, no leap year":  {"a@b Thu Feb 29 00:00:01 2015", true, "a@b", "", ""},
		"year 0":                     {"a@b Thu Jan  1 00:00:01 0000", true, "a@b", "", ""},
		"comma, comment":             {"a@b Thu, 01 Jan 2015 00:00:01 +0100 (CET)", true, "a@b", "2014-12-31T23:00:01Z", "+0100"},
		"comma, something else":      {"a@b Thu, 01 Jan 2015 00:00:01 2015", true, "a@b", "2015-01-01T00:00:01Z", ""},
		"escaped quote":              {`"x\" y"@b Thu Jan  1 00:00:01 2015`, true, `"x\" y"@b`, "2015-01-01T00:00:01Z", ""},
		"quote without its end":      {`"x y@b Thu Jan  1 00:00:01 2015`, false, `"x`, "", ""},
		"blanks before the sender":   {"  a@b Thu Jan  1 00:00:01 2015", true, "a@b", "2015-01-01T00:00:01Z", ""},
		"sender that is a weekday":   {"Thu Thu Jan  1 00:00:01 2015", true, "Thu", "2015-01-01T00:00:01Z", ""},
		"zone and remote from":       {"a@b Thu Jan  1 00:00:01 2015 +0100 remote from x", true, "a@b", "2014-12-31T23:00:01Z", "+0100"},
		"NUL behind the year":        {"a@b Thu Jan  1 00:00:01 2015\x00", false, "a@b", "", ""},
		"ctime with fraction":        {"a@b Thu Jan  1 00:00:01.5 2015", false, "a@b", "", ""},
		"carriage returns at end":    {"a@b Thu Jan  1 00:00:01 2015 \r\r\n", true, "a@b", "2015-01-01T00:00:01Z", ""},
		"vertical tab is no blank":   {"a@b Thu Jan  1\v00:00:01 2015", false, "a@b", "", ""},
		"letters like those, not so": {"a@b T\x08u Jan  1 00:00:01 2015", false, "a@b", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			sep, ok := ParseSeparator([]byte("From " + c.line))
			require.True(t, ok)
			date := ""
			if !sep.Date.IsZero() {
				date = sep.Date.UTC().Format(time.RFC3339)
			}
			require.Equal(t, Separator{Sender: c.sender, Zone: c.zone, Valid: c.valid}, Separator{Sender: sep.Sender, Zone: sep.Zone, Valid: sep.Valid})
			require.Equal(t, c.date, date)
		})
	}
}

// A Content-Length is used when the end of the file or a separator follows; a separator is a line. Whether the body
// holds a separator of its own shows which it was.
func TestContentLengthEnds(t *testing.T) {
	const from = "From a@b Thu Jan  1 00:00:01 2015\n"
	for name, c := range map[string]struct {
		length string
		text   string // behind the header
		used   bool
	}{
		"empty line and separator":  {"38", from + "abc\n\n" + from, true},
		"no empty line":             {"38", from + "abc\n" + from, true},
		"two empty lines":           {"38", from + "abc\n\n\n" + from, true},
		"three empty lines":         {"38", from + "abc\n\n\n\n" + from, false},
		"counts the empty line":     {"39", from + "abc\n\n" + from, true},
		"one line end missing":      {"37", from + "abc\n\n" + from, true},
		"separator within a line":   {"37", from + "abc" + from, false},
		"separator without date":    {"38", from + "abc\n\nFrom x\n", false},
		"empty, separator at once":  {"0", from, true},
		"end of file":               {"38", from + "abc\n", true},
		"end of file, unterminated": {"37", from + "abc", true},
		"end behind empty lines":    {"38", from + "abc\n\n\n", true},
		"end behind more of them":   {"38", from + "abc\n\n\n\n", false},
		"beyond the end":            {"39", from + "abc\n", false},
		"within CR LF":              {"38", from + "abc\r\n\r\n" + from, true},
		"folded":                    {"\n 38", from + "abc\n\n" + from, true},
		"two numbers":               {"3\n 8", from + "abc\n\n" + from, false},
		"19 digits":                 {"0000000000000000038", from + "abc\n\n" + from, false},
	} {
		t.Run(name, func(t *testing.T) {
			for kind, src := range map[string]io.Reader{
				"file":   strings.NewReader(from + "Content-Length: " + c.length + "\n\n" + c.text),
				"stream": io.MultiReader(strings.NewReader(from+"Content-Length: "+c.length+"\n\n"), strings.NewReader(c.text)),
			} {
				rd := NewReader(src)
				rd.Variant = MboxCL2
				m, err := rd.Next()
				require.NoError(t, err, kind)
				require.Equal(t, c.used, m.LengthUsed(), kind)
			}
		})
	}
}

package access

import (
	"context"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mtakit/mtakit"
)

func TestParseLines(t *testing.T) {
	for _, c := range []struct {
		name, line, key, value string
		err                    error
	}{
		{"blank separates", "spam.test REJECT", "spam.test", "REJECT", nil},
		{"tabs separate", "From:spam.test\t\tREJECT", "From:spam.test", "REJECT", nil},
		{"the value keeps its blanks", "a.test 550  go  away ", "a.test", "550  go  away ", nil},
		{"a hash in the value is data", "a.test OK # or not", "a.test", "OK # or not", nil},
		{"a key keeps its case", "FROM:A.Test OK", "FROM:A.Test", "OK", nil},
		{"form feed separates", "a.test\fOK", "a.test", "OK", nil},
		{"no-break space does not", "a.test\xa0OK x", "a.test\xa0OK", "x", nil},
		{"quotes mean nothing", `"a b"@c.test OK`, `"a`, `b"@c.test OK`, nil},
		{"carriage return is white space", "a.test OK\r", "a.test", "OK\r", nil},
		{"comment", "# a.test OK", "", "", nil},
		{"empty line", "", "", "", nil},
		{"leading blank", " a.test OK", "", "", ErrLeadingSpace},
		{"lone carriage return", "\r", "", "", ErrLeadingSpace},
		{"key alone", "a.test", "", "", ErrNoValue},
		{"key and blanks", "a.test \t", "", "", ErrNoValue},
		{"1022 bytes fit", "a " + strings.Repeat("x", 1020), "a", strings.Repeat("x", 1020), nil},
		{"1023 bytes do not", "a " + strings.Repeat("x", 1021), "", "", ErrLineTooLong},
	} {
		t.Run(c.name, func(t *testing.T) {
			f, err := Parse(strings.NewReader(c.line+"\n"), "access")
			assert.ErrorIs(t, err, c.err)
			var want []Entry
			if c.key != "" {
				want = []Entry{{Key: c.key, Value: c.value, Pos: mtakit.Position{File: "access", Line: 1, Col: 1}}}
			}
			assert.Equal(t, want, slices.Collect(f.All()))
		})
	}
}

// All good entries come back together with all faults, each with its line.
func TestParseKeepsGoing(t *testing.T) {
	const text = "# head\nFrom:a.test OK\n bad\nb.test\nFROM:A.TEST REJECT\nc.test RELAY"
	f, err := Parse(strings.NewReader(text), "/etc/mail/access")
	require.Error(t, err)
	assert.Equal(t, "/etc/mail/access:3:1: leading space\n"+
		"/etc/mail/access:4:1: no value for key \"b.test\"\n"+
		"/etc/mail/access:5:1: duplicate key \"FROM:A.TEST\", first given on line 2", err.Error())
	assert.ErrorIs(t, err, ErrDuplicate)
	var se *mtakit.SyntaxError
	require.ErrorAs(t, err, &se)
	assert.Equal(t, 3, se.Pos.Line)

	var keys []string
	for e := range f.All() {
		keys = append(keys, e.Key)
	}
	assert.Equal(t, []string{"From:a.test", "FROM:A.TEST", "c.test"}, keys)
	assert.Equal(t, 3, f.Len())

	value, pos, ok, err := f.LookupPosition(t.Context(), "from:A.test")
	require.NoError(t, err)
	assert.True(t, ok)
	assert.Equal(t, "OK", value, "the first of two counts")
	assert.Equal(t, "/etc/mail/access:2:1", pos.String())
	_, ok, _ = f.Lookup(t.Context(), "a.test")
	assert.False(t, ok)
}

func TestParseReadError(t *testing.T) {
	broken := errors.New("broken disk")
	f, err := Parse(iotest.TimeoutReader(strings.NewReader("")), "access")
	require.NoError(t, err)
	assert.Zero(t, f.Len())
	_, err = Parse(iotest.ErrReader(broken), "access")
	assert.ErrorIs(t, err, broken)
}

func TestWriteToUnchanged(t *testing.T) {
	for _, text := range []string{"", "\n", "a OK", "a OK\n", "# c\r\na\tOK\r\n\n bad\nb\na REJECT\n", "\x00\xff a\n"} {
		f, _ := Parse(strings.NewReader(text), "access")
		var b strings.Builder
		n, err := f.WriteTo(&b)
		require.NoError(t, err)
		assert.EqualValues(t, len(text), n)
		assert.Equal(t, text, b.String())
	}
}

func TestEntryTag(t *testing.T) {
	for key, want := range map[string][2]string{
		"Connect:10.1":     {"Connect", "10.1"},
		"from:A@b.test":    {"From", "A@b.test"},
		"CLIENTRATE:":      {"ClientRate", ""},
		"IPv6:2001:db8":    {"", "IPv6:2001:db8"},
		"Connect:IPv6:::1": {"Connect", "IPv6:::1"},
		"to":               {"", "to"},
	} {
		tag, rest := Entry{Key: key}.Tag()
		assert.Equal(t, want, [2]string{tag, rest}, key)
	}
}

func TestParseValue(t *testing.T) {
	for in, want := range map[string]Value{
		"OK":                               {Kind: KindOK},
		"relay ":                           {Kind: KindRelay},
		"Reject":                           {Kind: KindReject},
		"REJECT (spam)":                    {Kind: KindReject},
		"REJECT now":                       {Kind: KindText, Text: "REJECT now"},
		`"REJECT"`:                         {Kind: KindText, Text: `"REJECT"`},
		"DISCARD":                          {Kind: KindDiscard},
		"SKIP":                             {Kind: KindSkip},
		"FRIEND":                           {Kind: KindFriend},
		"hater":                            {Kind: KindHater},
		"QUARANTINE:look at it":            {Kind: KindQuarantine, Text: "look at it"},
		"quarantine: x.y , z":              {Kind: KindQuarantine, Text: "x.y,z"},
		"QUARANTINE:":                      {Kind: KindText, Text: "QUARANTINE:"},
		"ERROR:5.7.1:550 no":               {Kind: KindError, Status: "5.7.1", Text: "550 no"},
		"error:no code":                    {Kind: KindError, Text: "no code"},
		"ERROR:nouser:550 x":               {Kind: KindError, Text: "nouser:550 x"},
		"ERROR:5.7.1.2:550 x":              {Kind: KindError, Text: "5.7.1.2:550 x"},
		`ERROR:5.7.1:"550 a, b. c"`:        {Kind: KindError, Status: "5.7.1", Text: `"550 a, b. c"`},
		"ERROR:":                           {Kind: KindText, Text: "ERROR:"},
		"550 see http://x.test/ (or not).": {Kind: KindText, Text: "550 see http://x.test/."},
	} {
		assert.Equal(t, want, ParseValue(in), in)
	}
}

func TestReply(t *testing.T) {
	for _, c := range []struct{ text, dsn, want string }{
		{"550 no", "5.7.1", "550 5.7.1 <a@b>... no"},
		{"550 5.2.2 no", "5.7.1", "550 5.2.2 <a@b>... no"},
		{"550 no", "", "550 5.0.0 <a@b>... no"},
		{"550 no", "nouser", "550 5.0.0 <a@b>... no"},
		{"no code", "5.7.1", "553 5.3.0 <a@b>... no code"},
		{"450 later", "", "450 4.0.0 <a@b>... later"},
		{"451 later", "", "451 4.0.0 later"},
		{"551 moved", "5.1.6", "551 5.1.6 moved"},
		{`"550 quoted"`, "5.1.1", "550 5.1.1 <a@b>... quoted"},
		{"550 4.7.1 mixed", "", "550 4.7.1 <a@b>... mixed"},
		{"550", "", "553 5.3.0 <a@b>... 550"},
		{"550-x", "", "553 5.3.0 <a@b>... 550-x"},
		{"5501 x", "", "553 5.3.0 <a@b>... 5501 x"},
		{"550 5.2.2222 long", "5.1.1", "550 5.1.1 <a@b>... 5.2.2222 long"},
	} {
		assert.Equal(t, c.want, reply(c.text, c.dsn, "<a@b>").Error(), "%s %s", c.text, c.dsn)
	}
}

func TestSampleFile(t *testing.T) {
	text, err := os.ReadFile("testdata/sample.access")
	require.NoError(t, err)
	f, err := Parse(strings.NewReader(string(text)), "sample.access")
	require.NoError(t, err)
	for e := range f.All() {
		v, ok, err := f.Lookup(context.Background(), e.Key)
		require.NoError(t, err)
		assert.True(t, ok)
		assert.Equal(t, e.Value, v)
	}
}

package access

import (
	"context"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mtakit/mtakit"
)

// The form of lines is that of package maptext, where it is tested; here, keys are addresses and networks with tags.
func TestParse(t *testing.T) {
	t.Parallel()
	text := "From:Spam.test\tREJECT\n[192.0.2.1]  OK\n x y\nTo:ann@\nConnect:IPv6:2001:db8 550 5.7.1 go # away\nFROM:spam.TEST OK\nTo:" + long + "\n"
	f, err := Parse(strings.NewReader(text), "access")
	assert.EqualError(t, err, `access:3:1: leading space
access:4:1: no value for key "To:ann@"
access:6:1: duplicate key "FROM:spam.TEST", first given on line 1
access:7:1: line too long: 1025 bytes, at most 1022 are allowed`)
	for _, want := range []error{ErrLeadingSpace, ErrNoValue, ErrDuplicate, ErrLineTooLong} {
		assert.ErrorIs(t, err, want)
	}
	at := func(line int) mtakit.Position { return mtakit.Position{File: "access", Line: line, Col: 1} }
	assert.Equal(t, []Entry{
		{"From:Spam.test", "REJECT", at(1)},
		{"[192.0.2.1]", "OK", at(2)},
		{"Connect:IPv6:2001:db8", "550 5.7.1 go # away", at(5)},
		{"FROM:spam.TEST", "OK", at(6)},
	}, slices.Collect(f.All()))
	value, pos, ok, err := f.LookupPosition(t.Context(), "from:spam.test")
	assert.Equal(t, []any{"REJECT", at(1), true, nil}, []any{value, pos, ok, err})
	value, ok, err = f.Lookup(t.Context(), "spam.test")
	assert.Equal(t, []any{"", false, nil}, []any{value, ok, err}, "the tag is part of the key")
	assert.Equal(t, 4, f.Len())
	var out strings.Builder
	_, err = f.WriteTo(&out)
	require.NoError(t, err)
	assert.Equal(t, text, out.String())

	f, err = (&Parser{MaxLine: 2000}).Parse(strings.NewReader("To:"+long), "access")
	require.NoError(t, err)
	assert.Equal(t, 1, f.Len())
	f, err = (&Parser{MaxSize: 7}).Parse(strings.NewReader("a.test OK"), "access")
	assert.EqualError(t, err, "access: file too large (limit is 7 bytes)")
	assert.Nil(t, f)
}

// long is a key and its value, 1022 bytes.
var long = strings.Repeat("x", 1019) + " OK"

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

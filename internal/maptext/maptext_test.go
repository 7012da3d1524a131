package maptext_test

import (
	"bytes"
	"errors"
	"io"
	"math"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mtakit/mtakit"
	"github.com/mtakit/mtakit/internal/lex"
	"github.com/mtakit/mtakit/internal/maptext"
)

func TestParseLines(t *testing.T) {
	t.Parallel()
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
		{"leading blank", " a.test OK", "", "", maptext.ErrLeadingSpace},
		{"lone carriage return", "\r", "", "", maptext.ErrLeadingSpace},
		{"key alone", "a.test", "", "", maptext.ErrNoValue},
		{"key and blanks", "a.test \t", "", "", maptext.ErrNoValue},
		{"1022 bytes fit", "a " + strings.Repeat("x", 1020), "a", strings.Repeat("x", 1020), nil},
		{"1023 bytes do not", "a " + strings.Repeat("x", 1021), "", "", maptext.ErrLineTooLong},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			f, err := maptext.Parse(strings.NewReader(c.line+"\n"), "table", maptext.Limits{})
			assert.ErrorIs(t, err, c.err)
			var want []maptext.Entry
			if c.key != "" {
				want = []maptext.Entry{{Key: c.key, Value: c.value, Pos: mtakit.Position{File: "table", Line: 1, Col: 1}}}
			}
			assert.Equal(t, want, slices.Collect(maptext.All[maptext.Entry](f)))
		})
	}
}

// All good entries come back together with all faults, each with its line.
func TestParseKeepsGoing(t *testing.T) {
	t.Parallel()
	const text = "# head\nFrom:a.test OK\n bad\nb.test\nFROM:A.TEST REJECT\nc.test RELAY"
	f, err := maptext.Parse(strings.NewReader(text), "/etc/mail/table", maptext.Limits{})
	require.Error(t, err)
	assert.Equal(t, "/etc/mail/table:3:1: leading space\n"+
		"/etc/mail/table:4:1: no value for key \"b.test\"\n"+
		"/etc/mail/table:5:1: duplicate key \"FROM:A.TEST\", first given on line 2", err.Error())
	assert.ErrorIs(t, err, maptext.ErrDuplicate)
	var se *mtakit.SyntaxError
	require.ErrorAs(t, err, &se)
	assert.Equal(t, 3, se.Pos.Line)

	var keys []string
	for e := range maptext.All[maptext.Entry](f) {
		keys = append(keys, e.Key)
	}
	assert.Equal(t, []string{"From:a.test", "FROM:A.TEST", "c.test"}, keys)
	assert.Equal(t, 3, f.Len())

	value, pos, ok, err := f.LookupPosition(t.Context(), "from:A.test")
	require.NoError(t, err)
	assert.True(t, ok)
	assert.Equal(t, "OK", value, "the first of two counts")
	assert.Equal(t, "/etc/mail/table:2:1", pos.String())
	_, ok, _ = f.Lookup(t.Context(), "a.test")
	assert.False(t, ok)
}

// Half of a table is no table.
func TestParseReadError(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken disk")
	f, err := maptext.Parse(io.MultiReader(strings.NewReader("a b\nc"), iotest.ErrReader(broken)), "table", maptext.Limits{})
	assert.ErrorIs(t, err, broken)
	assert.ErrorContains(t, err, "table: ")
	assert.Nil(t, f)
}

func TestLimits(t *testing.T) {
	t.Parallel()
	const text = "a b\nlong line\nc d\n"
	f, err := maptext.Parse(strings.NewReader(text), "table", maptext.Limits{MaxLine: 8, MaxSize: int64(len(text))})
	require.EqualError(t, err, "table:2:1: line too long: 9 bytes, at most 8 are allowed")
	assert.Equal(t, 2, f.Len())
	f, err = maptext.Parse(strings.NewReader(text), "table", maptext.Limits{MaxSize: int64(len(text)) - 1})
	assert.EqualError(t, err, "table: file too large (limit is 17 bytes)")
	assert.Nil(t, f)
	_, err = maptext.Parse(strings.NewReader(text), "table", maptext.Limits{MaxSize: math.MaxInt64})
	assert.NoError(t, err)
}

func TestWriteToUnchanged(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "\n", "a OK", "a OK\n", "# c\r\na\tOK\r\n\n bad\nb\na REJECT\n", "\x00\xff a\n"} {
		f, _ := maptext.Parse(strings.NewReader(text), "table", maptext.Limits{})
		var b strings.Builder
		n, err := f.WriteTo(&b)
		require.NoError(t, err)
		assert.EqualValues(t, len(text), n)
		assert.Equal(t, text, b.String())
	}
}

// Whatever the text, it is written back unchanged, every entry stands where it says and is found by its key.
func FuzzParse(f *testing.F) {
	for _, s := range []string{"a OK\r\n\nb\n c\na REJECT\n#", "\x00\xff\x80 x\nA\tB", "a@b c\n# x\r\na@B\t%1@c", ".\tsmtp:x", "a 123456789012345678901\n"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		limits := maptext.Limits{MaxLine: 20, MaxSize: 400}
		file, err := maptext.Parse(bytes.NewReader(text), "table", limits)
		require.Equal(t, len(text) > 400, file == nil)
		if file == nil {
			require.Error(t, err)
			return
		}
		var b bytes.Buffer
		_, err = file.WriteTo(&b)
		require.NoError(t, err)
		require.True(t, bytes.Equal(text, b.Bytes()))
		lines := bytes.Split(text, []byte("\n"))
		seen := map[string]bool{}
		for e := range maptext.All[maptext.Entry](file) {
			line := lines[e.Pos.Line-1]
			require.True(t, bytes.HasPrefix(line, []byte(e.Key)) && bytes.HasSuffix(line, []byte(e.Value)), "%q in %q", e, line)
			require.LessOrEqual(t, len(line), 20)
			value, pos, ok, err := file.LookupPosition(t.Context(), e.Key)
			require.NoError(t, err)
			require.True(t, ok)
			require.LessOrEqual(t, pos.Line, e.Pos.Line)
			if !seen[lex.Fold(e.Key)] {
				require.Equal(t, e.Value, value)
			}
			seen[lex.Fold(e.Key)] = true
		}
		again, _ := maptext.Parse(&b, "table", limits)
		require.Equal(t, slices.Collect(maptext.All[maptext.Entry](file)), slices.Collect(maptext.All[maptext.Entry](again)))
	})
}

// A line of 100 MB is refused with its place, and the lines around it count.
func TestHugeLine(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("reads 100 MB")
	}
	text := io.MultiReader(strings.NewReader("a x\nb "), io.LimitReader(yes{}, 100<<20), strings.NewReader("\nc z\n"))
	f, err := maptext.Parse(text, "table", maptext.Limits{})
	require.ErrorIs(t, err, maptext.ErrLineTooLong)
	var se *mtakit.SyntaxError
	require.ErrorAs(t, err, &se)
	assert.Equal(t, 2, se.Pos.Line)
	assert.Less(t, len(err.Error()), 300, "the line is not in the error")
	var keys []string
	for e := range maptext.All[maptext.Entry](f) {
		keys = append(keys, e.Key)
	}
	assert.Equal(t, []string{"a", "c"}, keys)
}

// yes is endless.
type yes struct{}

func (yes) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'y'
	}
	return len(p), nil
}

package alias_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mtakit/mtakit"
	"github.com/mtakit/mtakit/alias"
)

// entries lists a file as key=value, in order.
func entries(f *alias.File) []string {
	var out []string
	for e := range f.All() {
		out = append(out, e.Key+"="+e.Value)
	}
	return out
}

func TestParse(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, in string
		want     []string
		err      string // every error, one on a line
	}{
		{name: "empty"},
		{name: "comments and empty lines", in: "# a: b\n\n#c\n"},
		{name: "simple", in: "staff: ann\n", want: []string{"staff=ann"}},
		{name: "blanks in front of the value go, those behind it stay", in: "staff \t:  ann  \n", want: []string{"staff=ann  "}},
		{name: "keys are folded, values are not", in: "StAfF: ANN\n", want: []string{"staff=ANN"}},
		{name: "continued by blank, which stays", in: "a: b,\n c,\n\td\nx: y", want: []string{"a=b, c,\td", "x=y"}},
		{name: "continued by backslash, which goes", in: "a: b, \\\nc\n", want: []string{"a=b, c"}},
		{name: "backslash at the end of the file stays", in: `a: b\`, want: []string{`a=b\`}},
		{name: "backslash newline at the end of the file goes", in: "a: b\\\n", want: []string{"a=b"}},
		{name: "blank line continues, too", in: "a: b\n  \nc: d\n", want: []string{"a=b  ", "c=d"}},
		{name: "comment swallows its continuation", in: "#c\n a: b\nd: e\n", want: []string{"d=e"}},
		{name: "comment by backslash swallows the next line", in: "#c\\\na: b\nd: e\n", want: []string{"d=e"}},
		{name: "number sign in a continuation is data", in: "a: b\n # c\n", want: []string{"a=b # c"}},
		{name: "carriage return is data", in: "a: b\r\n", want: []string{"a=b\r"}},
		{name: "key continued over lines; a dot stands for the blank", in: "a\n b: c\n", want: []string{"a.b=c"}},
		{name: "quoted key", in: `"a b": x` + "\n" + `"ab": y`, want: []string{`"a b"=x`, "ab=y"}},
		{name: "the value begins at the first colon, even in quotes", in: `"a:b": x`, want: []string{`a:b=b": x`}},
		{name: "key with comment, phrase, brackets", in: "a (x): 1\n<b>: 2\nC D <c>: 3\n", want: []string{"a=1", "b=2", "c=3"}},
		{name: "backslash key", in: `\ab: x`, want: []string{`\ab=x`}},
		{name: "key at localhost", in: "a@localhost: x", want: []string{"a=x"}},
		{name: "null address", in: "@: x", want: []string{"=x"}},
		{name: "8-bit key", in: "\xe9t\xe9: x", want: []string{"\xe9t\xe9=x"}},
		{name: "repeated key", in: "a: 1\nA: 2\n", want: []string{"a=1", "a=2"}},

		{name: "leading blank", in: " a: b\nc: d\n", want: []string{"c=d"}, err: "f:1:1: Non-continuation line starts with space"},
		{name: "missing colon", in: "a b\nc: d\n", want: []string{"c=d"}, err: "f:1:1: missing colon"},
		{name: "missing value", in: "a: \t\n", err: "f:1:1: a: \t... missing value for alias"},
		{name: "no key", in: ": x", err: "f:1:1: : x... illegal alias name"},
		{name: "include as key", in: ":include:/x: y", err: "f:1:1: :include:/x: y... illegal alias name"},
		{name: "program, file, domain", in: "|p: x\n/f: x\na@b.c: x\na%b: x\na!b: x\n", err: "f:1:1: |p... cannot alias non-local names\n" +
			"f:2:1: /f... cannot alias non-local names\nf:3:1: a@b.c... cannot alias non-local names\n" +
			"f:4:1: a%b... cannot alias non-local names\nf:5:1: a!b... cannot alias non-local names"},
		{name: "unbalanced key is repaired", in: `"a: x`, want: []string{`"a: x"=x`}, err: `f:1:1: "a: x... Unbalanced '"'`},
		{name: "position of a continued entry is where it begins", in: "\n\n\na b,\n c,\n d\n", err: "f:4:1: missing colon"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f, err := alias.Parse(strings.NewReader(tt.in), "f")
			require.NotNil(t, f)
			if tt.err == "" {
				assert.NoError(t, err)
			} else if assert.Error(t, err) {
				assert.Contains(t, err.Error(), tt.err)
				var se *mtakit.SyntaxError
				assert.ErrorAs(t, err, &se)
			}
			assert.Equal(t, tt.want, entries(f))
			var b strings.Builder
			n, err := f.WriteTo(&b)
			require.NoError(t, err)
			assert.Equal(t, tt.in, b.String(), "unchanged in, unchanged out")
			assert.EqualValues(t, len(tt.in), n)
		})
	}
}

// A line of 100 MB is refused with its place, and the lines around it count.
func TestHugeLine(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("holds 100 MB")
	}
	f, err := alias.Parse(strings.NewReader("a: x\nb: "+strings.Repeat("y", 100<<20)+"\nc: z\n"), "aliases")
	var se *mtakit.SyntaxError
	require.ErrorAs(t, err, &se)
	assert.Equal(t, 2, se.Pos.Line)
	assert.Less(t, len(err.Error()), 300, "the line is not in the error")
	var keys []string
	for e := range f.All() {
		keys = append(keys, e.Key)
	}
	assert.Equal(t, []string{"a", "c"}, keys)
}

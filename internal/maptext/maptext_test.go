package maptext_test

import (
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mtakit/mtakit"
	"github.com/mtakit/mtakit/internal/maptext"
)

// A line of 100 MB is refused with its place, and the lines around it count.
func TestHugeLine(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("reads 100 MB")
	}
	text := io.MultiReader(strings.NewReader("a x\nb "), io.LimitReader(yes{}, 100<<20), strings.NewReader("\nc z\n"))
	f, err := maptext.Parse(text, "table")
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

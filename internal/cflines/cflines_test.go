package cflines_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mtakit/mtakit/internal/cflines"
)

func collect(t *testing.T, lines iter.Seq2[cflines.Line, error]) (got []string) {
	t.Helper()
	for l, err := range lines {
		require.NoError(t, err)
		got = append(got, fmt.Sprintf("%d:%s", l.Number, l.Text))
	}
	return got
}

const sample = "# comment\n\n continued\nO A=1 # why\nO B=\n\t2 \r\n  # no\nFw/x %[^\\#]\nMlocal, P=/a#b\n  lost"

// TestLogical: sendmail's eyes.
func TestLogical(t *testing.T) {
	t.Parallel()
	assert.Equal(t, []string{"3: continued", "4:O A=1", "7:O B= 2", `8:Fw/x %[^\#]`, "10:Mlocal, P=/a#b lost"}, collect(t, cflines.Logical(strings.NewReader(sample))))
	assert.Empty(t, collect(t, cflines.Logical(strings.NewReader(""))))
}

// TestPhysical: those of mailstats and praliases.
func TestPhysical(t *testing.T) {
	t.Parallel()
	assert.Equal(t, []string{"1:# comment", "2:", "3: continued", "4:O A=1 # why", "5:O B=", "6:\t2 \r", "7:  # no", `8:Fw/x %[^\#]`, "9:Mlocal, P=/a#b", "10:  lost"},
		collect(t, cflines.Physical(strings.NewReader(sample))))
}

// TestLongLines: mailstats reads pieces, with the number of their line; sendmail's lines have a limit.
func TestLongLines(t *testing.T) {
	t.Parallel()
	long := "a\n" + strings.Repeat("x", 2047) + "yz#\nb\x00c\n"
	assert.Equal(t, []string{"1:a", "2:" + strings.Repeat("x", 2047), "2:yz#", "3:b"}, collect(t, cflines.Physical(strings.NewReader(long))))
	var got []error
	for _, err := range cflines.Logical(strings.NewReader("a\n" + strings.Repeat("x", 1<<20+1))) {
		got = append(got, err)
	}
	assert.Equal(t, []error{nil, bufio.ErrTooLong}, got)
}

// TestEnds: errors come last, and the loop may end before.
func TestEnds(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken disk")
	for name, lines := range map[string]func(io.Reader) iter.Seq2[cflines.Line, error]{"logical": cflines.Logical, "physical": cflines.Physical} {
		var got []error
		for _, err := range lines(io.MultiReader(strings.NewReader("a\nb\n"), iotest.ErrReader(broken))) {
			got = append(got, err)
		}
		assert.Equal(t, []error{nil, nil, broken}, got, name)
		n := 0
		for range lines(strings.NewReader("a\nb\nc\n")) {
			if n++; n == 2 {
				break
			}
		}
		assert.Equal(t, 2, n, name)
	}
}

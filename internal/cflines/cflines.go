// Package cflines takes a sendmail configuration (sendmail.cf) apart into lines, as sendmail does and as the small programs
// beside it do.
package cflines

import (
	"bufio"
	"io"
	"iter"
	"strings"
)

// Line is one line.
type Line struct {
	Number int // of the physical line, or of the last one of those that were joined, which sendmail names in its messages
	Text   string
}

// Physical yields the lines as mailstats and praliases read them: as they stand, without their newlines and what follows a NUL; of
// a long line each 2047 bytes are a line. An error of r, if any, is the last pair.
func Physical(r io.Reader) iter.Seq2[Line, error] {
	return func(yield func(Line, error) bool) {
		in := bufio.NewReaderSize(r, maxPiece)
		for n := 1; ; {
			piece, err := in.ReadSlice('\n')
			if err != nil && err != io.EOF && err != bufio.ErrBufferFull {
				yield(Line{}, err)
				return
			}
			if len(piece) > 0 {
				text, _, _ := strings.Cut(strings.TrimSuffix(string(piece), "\n"), "\x00")
				if !yield(Line{n, text}, nil) {
					return
				}
			}
			if err == io.EOF {
				return
			}
			if err == nil {
				n++
			}
		}
	}
}

// maxPiece is how much of a line mailstats reads at once.
const maxPiece = 2047

// maxLine is the most bytes that a physical line may have for Logical; a longer one is bufio.ErrTooLong.
const maxLine = 1 << 20

// Logical yields the lines that say something, as sendmail reads them: continued ones joined by a blank, and without comments, which
// are lines that begin with a number sign and what follows one that has white space before it. An error of r, if any, is the last
// pair.
func Logical(r io.Reader) iter.Seq2[Line, error] {
	return func(yield func(Line, error) bool) {
		in := bufio.NewScanner(r)
		in.Buffer(nil, maxLine)
		var held Line
		give := func() bool {
			return held.Text == "" || held.Text[0] == '#' || yield(Line{held.Number, cutComment(held.Text)}, nil)
		}
		for n := 1; in.Scan(); n++ {
			text := strings.TrimRight(in.Text(), "\r")
			if text != "" && (text[0] == ' ' || text[0] == '\t') {
				held = Line{n, held.Text + " " + strings.TrimLeft(text, " \t")}
				continue
			}
			if !give() {
				return
			}
			held = Line{n, text}
		}
		if give() && in.Err() != nil {
			yield(Line{}, in.Err())
		}
	}
}

// cutComment takes off what follows a "#" that has white space before it.
func cutComment(s string) string {
	for i := 1; i < len(s); i++ {
		if s[i] == '#' && (s[i-1] == ' ' || s[i-1] == '\t') {
			return strings.TrimRight(s[:i], " \t")
		}
	}
	return s
}

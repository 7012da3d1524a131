// Package cflines takes a sendmail configuration (sendmail.cf) apart into lines, as sendmail does and as the small programs
// beside it do.
package cflines

import (
	"bufio"
	"bytes"
	"io"
	"iter"
	"strings"
)

// Line is one line.
type Line struct {
	Number int // of the physical line, or of the last one of those that were joined, which sendmail names in its messages
	Text   string
}

// maxLine is the most bytes that a physical line may have; a longer one is bufio.ErrTooLong.
const maxLine = 1 << 20

// Physical yields the lines as they stand, without their newlines: this is how mailstats and praliases read. An error of r, if any,
// is the last pair.
func Physical(r io.Reader) iter.Seq2[Line, error] {
	return func(yield func(Line, error) bool) {
		in := scanner(r)
		for n := 1; in.Scan(); n++ {
			if !yield(Line{n, in.Text()}, nil) {
				return
			}
		}
		if err := in.Err(); err != nil {
			yield(Line{}, err)
		}
	}
}

// Logical yields the lines that say something, as sendmail reads them: continued ones joined by a blank, and without comments, which
// are lines that begin with a number sign and what follows one that has white space before it. An error of r, if any, is the last
// pair.
func Logical(r io.Reader) iter.Seq2[Line, error] {
	return func(yield func(Line, error) bool) {
		in := scanner(r)
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

func scanner(r io.Reader) *bufio.Scanner {
	in := bufio.NewScanner(r)
	in.Buffer(nil, maxLine)
	in.Split(split)
	return in
}

// split is a bufio.SplitFunc for lines that keeps carriage returns.
func split(data []byte, atEOF bool) (advance int, token []byte, err error) {
	if i := bytes.IndexByte(data, '\n'); i >= 0 {
		return i + 1, data[:i], nil
	}
	if atEOF && len(data) > 0 {
		return len(data), data, nil
	}
	return 0, nil, nil
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

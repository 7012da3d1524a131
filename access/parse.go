package access

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/mtakit/mtakit"
)

// Faults that Parse reports inside a *mtakit.SyntaxError.
var (
	// ErrLeadingSpace: the line begins with white space. There are no continuation lines in this format.
	ErrLeadingSpace = errors.New("leading space")
	// ErrNoValue: there is a key but nothing after it.
	ErrNoValue = errors.New("no value")
	// ErrLineTooLong: the line has more bytes than a map source may have.
	ErrLineTooLong = errors.New("line too long")
	// ErrDuplicate: the key was given before. The first entry stands.
	ErrDuplicate = errors.New("duplicate key")
)

// maxLine is the number of bytes that a line may have before its newline. sendmail: makemap.c reads into a buffer of
// 1024 bytes.
const maxLine = 1022

// Parse reads an access table in makemap's text form. It keeps every good entry and returns, joined, a
// *mtakit.SyntaxError for every bad line; name only appears in positions. An error of r itself ends the parse and is
// returned with what was read before.
func Parse(r io.Reader, name string) (*File, error) {
	var src strings.Builder
	_, err := io.Copy(&src, r)
	text := src.String()
	f := &File{text: text}
	errs := []error{err}
	for lineno := 1; len(text) > 0; lineno++ {
		var line string
		line, text, _ = strings.Cut(text, "\n")
		key, value, ok, err := parseLine(line)
		pos := mtakit.Position{File: name, Line: lineno, Col: 1}
		if ok {
			if first := f.add(Entry{Key: key, Value: value, Pos: pos}); first.Pos != pos {
				err = fmt.Errorf("%w %q, first given on line %d", ErrDuplicate, key, first.Pos.Line)
			}
		}
		if err != nil {
			errs = append(errs, &mtakit.SyntaxError{Pos: pos, Err: err})
		}
	}
	return f, errors.Join(errs...)
}

// parseLine splits one line, given without its newline. ok is false for comments and empty lines.
func parseLine(line string) (key, value string, ok bool, err error) {
	switch {
	case len(line) == 0 || line[0] == '#':
		return "", "", false, nil
	case len(line) > maxLine:
		return "", "", false, fmt.Errorf("%w: %d bytes, at most %d are allowed", ErrLineTooLong, len(line), maxLine)
	case isSpace(line[0]):
		return "", "", false, ErrLeadingSpace
	}
	n := 0
	for n < len(line) && !isSpace(line[n]) {
		n++
	}
	v := n
	for v < len(line) && isSpace(line[v]) {
		v++
	}
	if v == len(line) {
		return "", "", false, fmt.Errorf("%w for key %q", ErrNoValue, line[:n])
	}
	return line[:n], line[v:], true, nil
}

func isSpace(c byte) bool { return c == ' ' || '\t' <= c && c <= '\r' }

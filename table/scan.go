package table

import (
	"bufio"
	"bytes"
	"errors"
	"io"

	"github.com/mtakit/mtakit"
)

// maxLine is how many bytes of a line, its newline included, makemap takes at a time.
const maxLine = 1023

// Scanner reads the records of a text one after the other, without keeping them. It is what makemap is made of.
//
//	s := table.NewScanner(os.Stdin, "access", nil)
//	for s.Scan() {
//		if err := s.Err(); err != nil {  // this line is bad, the next may be good
//			…
//		}
//		use(s.Key(), s.Value())
//	}
//	if err := s.ReadErr(); err != nil { … }
type Scanner struct {
	g    Grammar
	name string
	r    *bufio.Reader

	line       int
	key, value []byte
	err        error // about this line
	warning    error // about this line, which is good nevertheless
	readErr    error // ends the scan
	logical    *logicalLines

	fold [256]uint16 // what becomes of a byte of a key
}

// separator is in Scanner.fold for bytes that end a key.
const separator = 256

// NewScanner returns a Scanner over r. name appears in positions only. g may be nil for makemap's own grammar. The
// duplicate rule of g is not the Scanner's business: it reports every record.
func NewScanner(r io.Reader, name string, g *Grammar) *Scanner {
	s := &Scanner{name: name, r: bufio.NewReaderSize(r, 64<<10)}
	if g != nil {
		s.g = *g
	}
	for c := range s.fold {
		switch b := byte(c); {
		case s.g.separates(b):
			s.fold[c] = separator
		case !s.g.KeepCase && 'A' <= b && b <= 'Z':
			s.fold[c] = uint16(b + 'a' - 'A')
		default:
			s.fold[c] = uint16(b)
		}
	}
	if s.g.Form != Makemap {
		s.logical = &logicalLines{r: s.r, max: s.g.MaxLine}
	}
	return s
}

// Scan moves to the next record or faulty line. It returns false at the end and after a read error.
func (s *Scanner) Scan() bool {
	s.key, s.value, s.err = nil, nil, nil
	if s.logical != nil {
		return s.scanLogical()
	}
	for {
		text, more := s.readLine()
		switch {
		case more:
			return true // s.err says why
		case s.readErr != nil:
			return false
		case len(text) == 0 || text[0] == s.g.comment():
			continue
		}
		s.split(text)
		return true
	}
}

// readLine returns the next line without its newline. bad means that it is faulty; s.readErr is set at the end.
func (s *Scanner) readLine() (text []byte, bad bool) {
	b, err := s.r.Peek(maxLine)
	if len(b) == 0 {
		s.readErr = err
		return nil, false
	}
	s.line++
	text = b
	atEnd := err != nil // fewer than maxLine bytes are left, and the end was seen
	if i := bytes.IndexByte(b, '\n'); i >= 0 {
		text, b, atEnd = b[:i], b[:i+1], false
	} else if err != nil && !errors.Is(err, io.EOF) {
		s.readErr = err
		return nil, false
	}
	complete := len(b) > len(text) || atEnd
	if i := bytes.IndexByte(text, 0); i >= 0 {
		// The original works on C strings: what follows a NUL is out of its sight, the newline included.
		text, complete = text[:i], atEnd
	}
	_, _ = s.r.Discard(len(b)) // Peek has just returned them
	if !complete {
		s.err = ErrLineTooLong
		return nil, true
	}
	return text, false
}

// split takes a line apart.
func (s *Scanner) split(text []byte) {
	if s.g.Separator == 0 && isSpace(text[0]) {
		s.err = ErrLeadingSpace
		return
	}
	i := 0
	for ; i < len(text); i++ {
		c := s.fold[text[i]]
		if c == separator {
			break
		}
		text[i] = byte(c)
	}
	key := text[:i]
	for i < len(text) && s.fold[text[i]] == separator {
		i++
	}
	if i == len(text) && !s.g.EmptyValues {
		s.err = NoValueError(string(key))
		return
	}
	s.key, s.value = key, text[i:]
}

// Key returns the key of the record, folded as the grammar says. It is valid until the next Scan.
func (s *Scanner) Key() []byte { return s.key }

// Value returns the value of the record, valid until the next Scan.
func (s *Scanner) Value() []byte { return s.value }

// Err returns what is wrong with the present line, or nil: ErrLineTooLong, ErrLeadingSpace, an error that is ErrNoValue, or
// a complaint of the Postfix forms. Its text is what makemap prints behind "line N: ".
func (s *Scanner) Err() error { return s.err }

// Warning returns a remark about the present record, which is used nevertheless; only the Postfix forms have any.
func (s *Scanner) Warning() error { return s.warning }

// ReadErr returns the error that ended the scan, nil at the end of input.
func (s *Scanner) ReadErr() error {
	if errors.Is(s.readErr, io.EOF) {
		return nil
	}
	return s.readErr
}

// Line returns the number of the present line, from 1.
func (s *Scanner) Line() int { return s.line }

// Pos returns the position of the present line.
func (s *Scanner) Pos() mtakit.Position { return mtakit.Position{File: s.name, Line: s.line, Col: 1} }

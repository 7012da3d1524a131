package alias

import (
	"bufio"
	"fmt"
	"io"
	"strings"
)

// line is one logical line: physical lines joined by a backslash before the newline or by blanks after it.
type line struct {
	start, end  int // its bytes in the file, without the last newline
	first, last int // numbers of the physical lines
	joined      bool
	tooLong     int // number of the physical line where it outgrew the limit; 0 if it did not
}

// scanner cuts the text of a file into logical lines.
type scanner struct {
	text string
	max  int // bytes of a joined line, its newline included
	pos  int
	num  int // physical lines read
}

// next returns the next logical line. ok is false at the end of the file.
func (s *scanner) next() (l line, ok bool) {
	if s.pos == len(s.text) {
		return line{}, false
	}
	l = line{start: s.pos, first: s.num + 1}
	size := 0
	slashes := 0 // backslashes at the end of what was joined so far
	for {
		s.num++
		n := strings.IndexByte(s.text[s.pos:], '\n')
		if n < 0 {
			size += len(s.text) - s.pos
			s.pos = len(s.text)
			l.end = s.pos
			break
		}
		end := s.pos + n
		size += n
		s.pos = end + 1
		if n > 0 {
			slashes = trailingSlashes(s.text[end-n : end])
		}
		escaped := slashes > 0
		if escaped {
			slashes--
			size--
		}
		if l.tooLong == 0 && size >= s.max {
			l.tooLong = s.num
		}
		l.end = end
		if s.pos == len(s.text) {
			if escaped { // the newline belongs to the joining, which removes it
				l.joined, l.end = true, s.pos
			}
			break
		}
		if c := s.text[s.pos]; !escaped && c != ' ' && c != '\t' {
			break
		}
		l.joined = true
	}
	if l.tooLong == 0 && size > s.max {
		l.tooLong = s.num
	}
	l.last = s.num
	return l, true
}

// text returns the joined line.
func (l line) text(file string) string {
	raw := file[l.start:l.end]
	if !l.joined {
		return raw
	}
	return join(raw)
}

// trailingSlashes counts the backslashes at the end of s.
func trailingSlashes[T string | []byte](s T) (n int) {
	for n < len(s) && s[len(s)-1-n] == '\\' {
		n++
	}
	return n
}

// join removes newlines, and with each the backslash in front of it, which may be left of an earlier line.
func join(raw string) string {
	b := make([]byte, 0, len(raw))
	for {
		n := strings.IndexByte(raw, '\n')
		if n < 0 {
			return string(append(b, raw...))
		}
		b = append(b, raw[:n]...)
		if len(b) > 0 && b[len(b)-1] == '\\' {
			b = b[:len(b)-1]
		}
		raw = raw[n+1:]
	}
}

// lineReader cuts what it reads into the logical lines that scanner finds in a text, and holds no more than one of them.
type lineReader struct {
	r       *bufio.Reader
	max     int   // as in scanner
	maxSize int64 // bytes of all
	size    int64 // bytes read
	num     int   // physical lines read
	buf     []byte
}

func newLineReader(r io.Reader, p *Parser) *lineReader {
	return &lineReader{r: bufio.NewReaderSize(r, 1<<16), max: p.maxLine(), maxSize: p.maxSize()}
}

// next returns the next logical line, joined. The text of one that is too long is cut short. The error is io.EOF at the
// end.
func (s *lineReader) next() (l line, text string, err error) {
	l.first = s.num + 1
	s.buf = s.buf[:0]
	size := 0
	slashes := 0 // backslashes at the end of what was joined so far
	for {
		n, ended, err := s.physical(&slashes)
		if err != nil {
			return line{}, "", err
		}
		if n == 0 && !ended { // the end of the file, which only the first line can meet here
			return line{}, "", io.EOF
		}
		s.num++
		size += n
		if !ended {
			break
		}
		escaped := slashes > 0
		if escaped {
			slashes--
			size--
		}
		if l.tooLong == 0 && size >= s.max {
			l.tooLong = s.num
		}
		next, err := s.r.Peek(1)
		if err != nil && err != io.EOF {
			return line{}, "", err
		}
		if len(next) == 0 && escaped || len(next) > 0 && (escaped || next[0] == ' ' || next[0] == '\t') {
			if k := len(s.buf); k > 0 && s.buf[k-1] == '\\' {
				s.buf = s.buf[:k-1]
			}
		}
		if len(next) == 0 || !escaped && next[0] != ' ' && next[0] != '\t' {
			break
		}
	}
	if l.tooLong == 0 && size > s.max {
		l.tooLong = s.num
	}
	l.last = s.num
	return l, string(s.buf), nil
}

// physical reads one physical line into buf, as far as a line that is not too long goes. It returns the length, and
// whether there is a newline, which is not part of it. slashes is what stands at its end; an empty line leaves that as
// it was.
func (s *lineReader) physical(slashes *int) (n int, ended bool, err error) {
	for {
		part, err := s.r.ReadSlice('\n')
		if s.size += int64(len(part)); s.size > s.maxSize {
			return 0, false, fmt.Errorf("file too large (limit is %d bytes)", s.maxSize)
		}
		if ended = err == nil; ended {
			part = part[:len(part)-1]
		}
		if k := trailingSlashes(part); k == len(part) && n > 0 {
			*slashes += k
		} else if len(part) > 0 {
			*slashes = k
		}
		n += len(part)
		if room := s.max + 2 - len(s.buf); room > 0 { // with one more byte than is allowed, and a backslash
			s.buf = append(s.buf, part[:min(room, len(part))]...)
		}
		switch err {
		case nil, io.EOF:
			return n, ended, nil
		case bufio.ErrBufferFull:
		default:
			return 0, false, err
		}
	}
}

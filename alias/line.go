package alias

import (
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
func trailingSlashes(s string) (n int) {
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

package table

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// Complaints of postmap and postalias about a line, as they word them.
var (
	ErrPostmapFormat   = errors.New("expected format: key whitespace value")
	ErrPostaliasFormat = errors.New("need name:value pair")
	ErrNotLocal        = errors.New("name must be local")
	ErrLooksLikeAlias  = errors.New(`record is in "key: value" format; is this an alias file?`)
	// ErrContinuesNothing is about a first line that begins with white space. Postfix tells the file, but not the line.
	ErrContinuesNothing = errors.New("logical line must not start with whitespace")
)

// defaultMaxLogical bounds a logical line, so that a file without newlines cannot fill the memory.
const defaultMaxLogical = 1 << 20

// logicalLines joins the lines of a Postfix table: a line that begins with white space continues the one before;
// comments and blank lines are skipped, also between them.
type logicalLines struct {
	r    *bufio.Reader
	max  int
	line int    // physical lines read so far
	buf  []byte // the present logical line
}

// next returns the next logical line and the number of its first physical line.
func (l *logicalLines) next() (text []byte, first int, err error) {
	max := l.max
	if max == 0 {
		max = defaultMaxLogical
	}
	l.buf = l.buf[:0]
	tooLong := false
	for {
		c, perr := l.r.Peek(1)
		if perr != nil {
			if first == 0 || !errors.Is(perr, io.EOF) {
				return nil, first, perr
			}
			break
		}
		if first != 0 && !isSpace(c[0]) && c[0] != '#' && c[0] != '\n' {
			break
		}
		start := len(l.buf)
		for more := true; more; {
			part, rerr := l.r.ReadSlice('\n')
			more = errors.Is(rerr, bufio.ErrBufferFull)
			if rerr != nil && !more && !errors.Is(rerr, io.EOF) {
				return nil, first, rerr
			}
			if len(l.buf)+len(part) > max {
				tooLong = true
				continue
			}
			l.buf = append(l.buf, part...)
		}
		l.line++
		l.buf = bytes.TrimSuffix(l.buf, []byte("\n"))
		body := bytes.TrimLeft(l.buf[start:], " \t\r\v\f")
		switch {
		case tooLong:
		case len(body) == 0 || body[0] == '#':
			l.buf = l.buf[:start]
			continue
		}
		if first == 0 {
			first = l.line
		}
	}
	if tooLong {
		return nil, first, errLogicalTooLong
	}
	return l.buf, first, nil
}

var errLogicalTooLong = errors.New("logical line too long")

// scanLogical is Scan for the Postfix forms.
func (s *Scanner) scanLogical() bool {
	s.warning = nil
	for {
		text, line, err := s.logical.next()
		s.line = line
		switch {
		case errors.Is(err, errLogicalTooLong):
			s.err = err
			return true
		case err != nil:
			s.readErr = err
			return false
		}
		length := len(text)
		text, _, _ = bytes.Cut(text, []byte{0}) // to Postfix it is the end
		switch {
		case len(text) > 0 && isSpace(text[0]):
			s.err = continuesNothing(text, length)
			return true
		case !utf8.Valid(text):
			s.err = fmt.Errorf("non-UTF-8 input \"%s\" -- ignoring this line", printable(text))
			return true
		case s.g.Form == Postmap:
			s.splitPostmap(text)
		case len(text) == 0:
			continue
		default:
			s.splitPostalias(text)
		}
		if s.err == nil && !s.g.KeepCase {
			s.key = foldUnicode(s.key)
		}
		return true
	}
}

// continuesNothing is the error for a line that begins with white space and has nothing before it, of a length that includes
// what is behind a NUL.
func continuesNothing(text []byte, length int) error {
	const shown = 30
	dots := ""
	if length > shown {
		dots = "..."
	}
	return fmt.Errorf("%w: \"%s%s\"", ErrContinuesNothing, printable(text[:min(len(text), shown)]), dots)
}

// printable puts a question mark for each control character and each byte that has no place in UTF-8. Like Postfix it does
// not count how many bytes a character should have.
func printable(text []byte) string {
	out := bytes.Clone(text)
	follows := func(i int) bool { return i < len(out) && out[i]&0xc0 == 0x80 }
	for i := 0; i < len(out); i++ {
		switch c := out[i]; {
		case c >= ' ' && c < 0x7f:
		case c >= 0xc2 && c <= 0xfe && follows(i+1):
			for follows(i + 1) {
				i++
			}
		default:
			out[i] = '?'
		}
	}
	return string(out)
}

// splitPostmap takes a logical line apart at the first white space outside double quotes.
func (s *Scanner) splitPostmap(text []byte) {
	all := text
	text = bytes.TrimFunc(text, func(r rune) bool { return r < utf8.RuneSelf && isSpace(byte(r)) })
	quoted := false
	i := 0
	for ; i < len(text); i++ {
		switch c := text[i]; {
		case c == '\\' && i+1 < len(text):
			i++
		case c == '"':
			quoted = !quoted
		case isSpace(c) && !quoted:
			goto found
		}
	}
found:
	if quoted {
		s.err = fmt.Errorf("unbalanced '\"' in '%s' -- ignoring this line", printable(all))
		return
	}
	key, value := text[:i], bytes.TrimLeft(text[i:], " \t\r\v\f")
	if len(key) == 0 || len(value) == 0 {
		s.err = ErrPostmapFormat
		return
	}
	if key[len(key)-1] == ':' {
		s.warning = ErrLooksLikeAlias
	}
	s.key, s.value = key, value
}

// token is a lexical element of an address line.
type token struct {
	kind byte // 'a' atom, '"' quoted string, '(' comment, '[' domain literal, or the operator itself
	text []byte
}

// operators are the bytes that are tokens of their own.
const operators = "|%!()<>@,;:\\\".[]"

// isBlank reports whether c is white space inside an address line.
func isBlank(c byte) bool { return c == ' ' || c == '\t' || c == '\r' || c == '\n' }

// blank makes a blank of white space.
func blank(c byte) byte {
	if isBlank(c) {
		return ' '
	}
	return c
}

// tokenize takes an address line apart, blanks dropped. A backslash protects the byte behind it.
func tokenize(b []byte) []token {
	var toks []token
	for i := 0; i < len(b); {
		switch c := b[i]; {
		case isBlank(c):
			i++
		case c == '"' || c == '[':
			end := byte('"')
			if c == '[' {
				end = ']'
			}
			var text []byte
			for i++; i < len(b) && b[i] != end; i++ {
				if b[i] == '\\' {
					if i++; i == len(b) {
						break
					}
				}
				text = append(text, blank(b[i]))
			}
			i++
			toks = append(toks, token{c, text})
		case c == '(':
			n := commentLen(b[i:])
			toks = append(toks, token{'(', b[i : i+n]})
			i += n
		case c != '\\' && strings.IndexByte(operators, c) >= 0:
			toks = append(toks, token{c, b[i : i+1]})
			i++
		default:
			var t token
			t, i = atom(b, i)
			toks = append(toks, t)
		}
	}
	return toks
}

// atom reads the atom that begins at i. One with blanks, control characters or operators is the same as a quoted string.
func atom(b []byte, i int) (t token, end int) {
	t.kind = 'a'
	for ; i < len(b); i++ {
		if b[i] == '\\' {
			if i++; i == len(b) {
				break
			}
		} else if isBlank(b[i]) || strings.IndexByte(operators, b[i]) >= 0 {
			break
		}
		c := blank(b[i])
		if c <= ' ' || c == 0x7f || strings.IndexByte(operators, c) >= 0 {
			t.kind = '"'
		}
		t.text = append(t.text, c)
	}
	return t, i
}

// commentLen returns the length of the comment that b begins with, nested ones included.
func commentLen(b []byte) int {
	depth := 0
	for i := 0; i < len(b); i++ {
		switch b[i] {
		case '\\':
			i++
		case '(':
			depth++
		case ')':
			depth--
		}
		if depth == 0 {
			return i + 1
		}
	}
	return len(b)
}

// join prints tokens: a blank between two words, behind a comma and before a <; quoted strings with their quotes when
// external.
func join(toks []token, external bool) []byte {
	var out []byte
	word := func(t token) bool { return strings.IndexByte(`a"([`, t.kind) >= 0 }
	for i, t := range toks {
		if n := len(out); t.kind == '<' && n > 0 && out[n-1] != ' ' {
			out = append(out, ' ')
		}
		switch {
		case t.kind == '"' && external, t.kind == '[':
			end := byte('"')
			if t.kind == '[' {
				end = ']'
			}
			out = append(out, t.kind)
			for _, c := range t.text {
				if c == '"' && end == '"' || c == '\\' {
					out = append(out, '\\')
				}
				out = append(out, c)
			}
			out = append(out, end)
		default:
			out = append(out, t.text...)
		}
		if t.kind == ',' || i+1 < len(toks) && word(t) && word(toks[i+1]) {
			out = append(out, ' ')
		}
	}
	return out
}

// splitPostalias takes an alias line apart: one local name, a colon, and a value whose white space is normalized.
func (s *Scanner) splitPostalias(text []byte) {
	toks := tokenize(text)
	colon := -1
	local, single := true, true
	for i, t := range toks {
		if t.kind == ':' {
			colon = i
			break
		}
		single = single && t.kind != ','
		local = local && t.kind != '@' && t.kind != '%'
	}
	switch {
	case colon < 1 || colon == len(toks)-1 || !single:
		s.err = ErrPostaliasFormat
	case !local:
		s.err = ErrNotLocal
	default:
		s.key, s.value = join(toks[:colon], false), join(toks[colon+1:], true)
	}
}

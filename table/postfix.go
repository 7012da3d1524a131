package table

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Complaints of postmap and postalias about a line, as they word them.
var (
	ErrPostmapFormat   = errors.New("expected format: key whitespace value")
	ErrPostaliasFormat = errors.New("need name:value pair")
	ErrNotLocal        = errors.New("name must be local")
	ErrLooksLikeAlias  = errors.New(`record is in "key: value" format; is this an alias file?`)
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
	text, line, err := s.logical.next()
	s.line = line
	switch {
	case errors.Is(err, errLogicalTooLong):
		s.err = err
		return true
	case err != nil:
		s.readErr = err
		return false
	case !utf8.Valid(text):
		s.err = fmt.Errorf("non-UTF-8 input %q -- ignoring this line", printable(text))
		return true
	}
	if s.g.Form == Postalias {
		s.splitPostalias(text)
	} else {
		s.splitPostmap(text)
	}
	if s.err == nil && !s.g.KeepCase {
		s.key = foldUnicode(s.key)
	}
	return true
}

// printable replaces what Postfix does not print.
func printable(text []byte) string {
	return strings.Map(func(r rune) rune {
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, string(text))
}

// splitPostmap takes a logical line apart at the first white space outside double quotes.
func (s *Scanner) splitPostmap(text []byte) {
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
		s.err = fmt.Errorf("unbalanced '\"' in '%s' -- ignoring this line", text)
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

// foldUnicode folds UTF-8 rune by rune, which is Unicode's simple case folding, and sharp s to "ss".
func foldUnicode(b []byte) []byte {
	return bytes.ReplaceAll(bytes.Map(func(r rune) rune {
		if r == 'ẞ' {
			return 'ß'
		}
		return unicode.ToLower(unicode.ToUpper(r))
	}, b), []byte("ß"), []byte("ss"))
}

// token is a lexical element of an address line.
type token struct {
	kind byte // 'a' atom, '"' quoted string, '(' comment, '[' domain literal, or the operator itself
	text []byte
}

// operators are the bytes that are tokens of their own.
const operators = "|%!()<>@,;:\\\".[]"

// tokenize takes an address line apart, blanks dropped. A backslash protects the byte behind it.
func tokenize(b []byte) []token {
	var toks []token
	for i := 0; i < len(b); {
		switch c := b[i]; {
		case isSpace(c) || c == '\n':
			i++
		case c == '"' || c == '[':
			end := byte('"')
			if c == '[' {
				end = ']'
			}
			var text []byte
			for i++; i < len(b) && b[i] != end; i++ {
				if b[i] == '\\' && i+1 < len(b) {
					i++
				}
				text = append(text, b[i])
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
			var text []byte
			for ; i < len(b); i++ {
				if b[i] == '\\' && i+1 < len(b) {
					i++
				} else if isSpace(b[i]) || strings.IndexByte(operators, b[i]) >= 0 {
					break
				}
				text = append(text, b[i])
			}
			if len(text) == 0 {
				i++ // a backslash at the very end
			}
			toks = append(toks, token{'a', text})
		}
	}
	return toks
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

// join prints tokens: a blank between two words and behind a comma; quoted strings with their quotes when external.
func join(toks []token, external bool) []byte {
	var out []byte
	word := func(t token) bool { return strings.IndexByte(`a"([`, t.kind) >= 0 }
	for i, t := range toks {
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
		if i+1 < len(toks) && (t.kind == ',' || word(t) && word(toks[i+1])) {
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

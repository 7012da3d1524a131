// Package lex splits mail address text into tokens the way sendmail does, so that every table and every command
// line is read by the same rules.
//
// A token is one operator character, one quoted string with its quotes, or a run of other characters. Blanks end a
// token and vanish. Text in parentheses is a comment, which counts as a blank. A backslash makes the next character
// an ordinary one, and both stay in the token. Text that is not balanced is repaired: the missing character is
// added, or the excess one dropped, and a fault says so.
package lex

import "strings"

// Fault is what had to be repaired. Its text is sendmail's, reply code 553, status 5.0.0.
type Fault string

func (f Fault) Error() string { return string(f) }

// Faults that Scan reports.
const (
	UnbalancedQuote   Fault = `Unbalanced '"'`
	UnbalancedComment Fault = `Unbalanced '('`
	ExcessComment     Fault = `Unbalanced ')'`
	UnbalancedAngle   Fault = `Unbalanced '<'`
	ExcessAngle       Fault = `Unbalanced '>'`
)

// operators are the characters that are tokens of their own: the OperatorChars of the standard configuration and
// those that are built in.
const operators = ".:%@!^/[]+" + "()<>,;\r\n"

// IsOperator reports whether c is a token of its own.
func IsOperator(c byte) bool { return strings.IndexByte(operators, c) >= 0 }

// IsAtom reports whether tok is neither an operator nor a quoted string.
func IsAtom(tok string) bool {
	return tok != "" && tok[0] != '"' && !(len(tok) == 1 && IsOperator(tok[0]))
}

// Scan splits text up to the first delim that no quote, comment or angle bracket protects, or up to its end when delim is zero. A
// blank as delim stands for any white space. It returns the tokens, the number of bytes before the delimiter, and
// what had to be repaired.
func Scan(text string, delim byte) (tokens []string, n int, faults []Fault) {
	s := scanner{text: text, delim: delim}
	s.run()
	return s.tokens, s.pos, s.faults
}

type scanner struct {
	text   string
	delim  byte
	pos    int
	tok    []byte
	tokens []string
	faults []Fault

	comments int  // open parentheses
	angles   int  // open angle brackets
	route    bool // the last angle bracket began a source route, where commas are expected
	closing  string
}

func (s *scanner) fault(f Fault) { s.faults = append(s.faults, f) }

func (s *scanner) flush() {
	if len(s.tok) > 0 {
		s.tokens = append(s.tokens, string(s.tok))
		s.tok = s.tok[:0]
	}
}

// next returns the next character, first those that were added to balance the text. ok is false at the end.
func (s *scanner) next() (c byte, ok bool) {
	if s.closing != "" {
		c, s.closing = s.closing[0], s.closing[1:]
		return c, true
	}
	if s.pos == len(s.text) || s.text[s.pos] == 0 {
		return 0, false
	}
	s.pos++
	return s.text[s.pos-1], true
}

func (s *scanner) run() {
	defer s.flush()
	quoted := false
	for {
		c, ok := s.next()
		switch {
		case !ok && quoted:
			s.fault(UnbalancedQuote)
			s.closing = `"`
			continue
		case !ok && s.comments > 0:
			s.fault(UnbalancedComment)
			s.closing = ")"
			continue
		case !ok && s.angles > 0:
			s.fault(UnbalancedAngle)
			s.closing = ">"
			continue
		case !ok:
			return
		case quoted:
			quoted = s.inQuotes(c)
		case c == '\\':
			s.backslash()
		case s.isDelim(c) && s.comments == 0:
			if s.angles == 0 {
				s.pos--
				return
			}
			if c == ',' && !s.route {
				// <a, b: the comma most likely ends the element, and the bracket was forgotten.
				s.fault(UnbalancedAngle)
				s.pos--
				s.angle('>')
				continue
			}
			s.operator(c)
		case c == '(':
			s.comments++
		case c == ')':
			if s.comments == 0 {
				s.fault(ExcessComment)
			} else {
				s.comments--
				s.flush() // a comment separates, like a blank
			}
		case s.comments > 0:
		case c == '<' || c == '>':
			s.angle(c)
		case c == '"':
			s.flush()
			s.tok = append(s.tok, c)
			quoted = true
		case isSpace(c):
			s.flush()
		case IsOperator(c):
			s.operator(c)
		default:
			s.tok = append(s.tok, c)
		}
	}
}

func (s *scanner) isDelim(c byte) bool {
	return s.delim != 0 && (c == s.delim || s.delim == ' ' && isSpace(c))
}

func (s *scanner) operator(c byte) {
	s.flush()
	s.tok = append(s.tok, c)
	s.flush()
}

// inQuotes takes c as part of a quoted string and reports whether the string goes on.
func (s *scanner) inQuotes(c byte) bool {
	s.tok = append(s.tok, c)
	if c == '\\' {
		if c, ok := s.next(); ok {
			s.tok = append(s.tok, c)
		} else {
			s.tok = s.tok[:len(s.tok)-1]
		}
		return true
	}
	if c == '"' {
		s.flush()
		return false
	}
	return true
}

// backslash reads the character after a backslash outside quotes. Both are kept, except for \! which shells make. A
// delimiter is not protected: it ends the text, and the backslash is lost.
func (s *scanner) backslash() {
	if s.angles == 0 && s.comments == 0 && s.closing == "" && s.pos < len(s.text) && s.isDelim(s.text[s.pos]) {
		return
	}
	c, ok := s.next()
	switch {
	case !ok || s.comments > 0:
	case c == '!':
		s.operator(c)
	default:
		s.tok = append(s.tok, '\\', c)
	}
}

func (s *scanner) angle(c byte) {
	if c == '>' && s.angles == 0 {
		s.fault(ExcessAngle)
		return
	}
	if c == '<' {
		s.angles++
		s.route = strings.HasPrefix(strings.TrimLeft(s.text[s.pos:], " \t"), "@")
	} else {
		s.angles--
		s.route = false
	}
	s.operator(c)
}

func isSpace(c byte) bool { return c == ' ' || c >= '\t' && c <= '\r' }

// Join makes text of tokens again: two neighbours that are both atoms are separated by sep, all others touch.
func Join(tokens []string, sep string) string {
	switch len(tokens) {
	case 0:
		return ""
	case 1:
		return tokens[0]
	}
	var b strings.Builder
	for i, t := range tokens {
		if i > 0 && IsAtom(tokens[i-1]) && IsAtom(t) {
			b.WriteString(sep)
		}
		b.WriteString(t)
	}
	return b.String()
}

// Show makes text of tokens for people, as sendmail's address test mode lists them: a blank between two words, quoted
// or not, and none around operators.
func Show(tokens []string) string {
	if len(tokens) == 1 {
		return tokens[0]
	}
	var b strings.Builder
	for i, t := range tokens {
		if i > 0 && isWord(tokens[i-1]) && isWord(t) {
			b.WriteByte(' ')
		}
		b.WriteString(t)
	}
	return b.String()
}

func isWord(t string) bool {
	return len(t) != 1 || strings.IndexByte(`@.<>+:;,[]()!%\/"|=$~^&'`, t[0]) < 0
}

package queue

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/mtakit/mtakit/queue/qf"
)

// ErrHeaderTooLong is returned by HeaderSplitter when the header does not end within its limit.
var ErrHeaderTooLong = errors.New("message header is too long")

// HeaderSplitter divides a message, written to it with LF line ends, into its header, which it keeps, and its body,
// which it passes on. The header ends at the first line that is neither a field nor a continuation; that line is
// dropped when it is empty and is the first line of the body otherwise, as sendmail has it.
type HeaderSplitter struct {
	Body io.Writer // usually a Draft
	Max  int       // limit of the header in bytes; zero means 1 MiB

	buf    []byte // header, then the line that is not complete yet
	line   int    // where that line begins
	inBody bool
}

// Header returns the header lines as they came. It is complete when the first byte of the body was passed on, or
// after Close.
func (s *HeaderSplitter) Header() []byte { return s.buf[:s.line] }

// Write implements io.Writer.
func (s *HeaderSplitter) Write(p []byte) (int, error) {
	if s.inBody {
		return s.Body.Write(p)
	}
	limit := s.Max
	if limit == 0 {
		limit = 1 << 20
	}
	for i := 0; i < len(p); {
		nl := bytes.IndexByte(p[i:], '\n')
		if nl < 0 {
			s.buf = append(s.buf, p[i:]...)
			if len(s.buf) > limit {
				return i, ErrHeaderTooLong
			}
			break
		}
		s.buf = append(s.buf, p[i:i+nl+1]...)
		i += nl + 1
		if len(s.buf) > limit {
			return i, ErrHeaderTooLong
		}
		if s.endsHeader(s.buf[s.line:]) {
			if err := s.startBody(); err != nil {
				return i, err
			}
			n, err := s.Body.Write(p[i:])
			return i + n, err
		}
		s.line = len(s.buf)
	}
	return len(p), nil
}

// Close ends the message; a last line without a line end is a header field when it looks like one. It does not
// close Body.
func (s *HeaderSplitter) Close() error {
	if s.inBody || s.line == len(s.buf) {
		s.inBody = true
		return nil
	}
	if !s.endsHeader(s.buf[s.line:]) {
		s.buf = append(s.buf, '\n')
		s.line = len(s.buf)
		s.inBody = true
		return nil
	}
	return s.startBody()
}

// startBody passes on the line that ended the header, unless it is the empty one.
func (s *HeaderSplitter) startBody() error {
	s.inBody = true
	rest := s.buf[s.line:]
	if len(rest) == 1 && rest[0] == '\n' {
		return nil
	}
	_, err := s.Body.Write(rest)
	return err
}

func (s *HeaderSplitter) endsHeader(line []byte) bool {
	if line[0] == ' ' || line[0] == '\t' {
		return s.line == 0 // a continuation of nothing
	}
	return fieldName(line) == 0
}

// fieldName returns the length of the field name that line begins with, 0 when it begins with none. Blanks may stand
// before the colon (RFC 5322 section 4.5.8).
func fieldName(line []byte) int {
	n := 0
	for n < len(line) && line[n] > ' ' && line[n] < 0x7f && line[n] != ':' {
		n++
	}
	rest := bytes.TrimLeft(line[n:], " \t")
	if n == 0 || len(rest) == 0 || rest[0] != ':' {
		return 0
	}
	return n
}

// parseHeader makes the H lines of a header. Every line is a field or a continuation of one.
func parseHeader(header []byte) ([]qf.Header, error) {
	text := string(header)
	hs := make([]qf.Header, 0, strings.Count(text, "\n"))
	for line := 1; text != ""; line++ {
		end := strings.IndexByte(text, '\n')
		for end >= 0 && end+1 < len(text) && (text[end+1] == ' ' || text[end+1] == '\t') {
			next := strings.IndexByte(text[end+1:], '\n')
			if next < 0 {
				end = -1
				break
			}
			end += 1 + next
		}
		field := text
		if end >= 0 {
			field, text = text[:end], text[end+1:]
		} else {
			text = ""
		}
		name, value, ok := strings.Cut(field, ":")
		if !ok || fieldName([]byte(field)) == 0 {
			return nil, fmt.Errorf("header: field %d is no header field: %.40q", line, field)
		}
		hs = append(hs, qf.Header{Name: name, Value: value})
	}
	return hs, nil
}

// macroMark stands before the letter of a macro that sendmail expands at delivery.
const macroMark = 0x81

// appendHeader appends the fields that a mailer with the given flags would send, with LF line ends.
func appendHeader(b []byte, f *qf.File, mailerFlags string) []byte {
	for _, h := range f.Headers {
		if h.NoColon || !conditionHolds(h.Cond, f, mailerFlags) {
			continue
		}
		b = append(b, h.Name...)
		b = append(b, ':')
		if strings.IndexByte(h.Value, macroMark) < 0 {
			b = append(b, h.Value...)
		} else {
			b = append(b, expandMarks(h.Value, f)...)
		}
		b = append(b, '\n')
	}
	return b
}

func conditionHolds(cond string, f *qf.File, mailerFlags string) bool {
	if cond == "" {
		return true
	}
	if cond[0] == '$' || cond[0] == macroMark {
		name := strings.TrimSuffix(strings.TrimPrefix(cond[1:], "{"), "}")
		return macroValue(f, name) != ""
	}
	return strings.ContainsAny(cond, mailerFlags)
}

func macroValue(f *qf.File, name string) string {
	for _, m := range f.Macros {
		if m.Name == name {
			return m.Value
		}
	}
	if name == "g" || name == "f" {
		return parsePath(f.Sender).String()
	}
	return ""
}

func expandMarks(s string, f *qf.File) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == macroMark && i+1 < len(s) {
			i++
			b.WriteString(macroValue(f, s[i:i+1]))
			continue
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// hasRecipientField reports whether a header names recipients; sendmail then removes a Bcc field at delivery.
func hasRecipientField(hs []qf.Header) bool {
	for _, h := range hs {
		switch strings.ToLower(h.Name) {
		case "to", "cc", "bcc", "resent-to", "resent-cc", "resent-bcc", "apparently-to":
			return true
		}
	}
	return false
}

package smtp

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/mtakit/mtakit"
)

// Limits on what a server may send. RFC 5321 section 4.5.3.1.5 allows lines of 512 bytes; real servers go beyond.
const (
	maxReplyLine  = 4096 // also the size of the read buffer
	maxReplyLines = 512
	maxFirstLine  = 1024 // of what is kept for logs
)

// reply is a server's answer to one command.
type reply struct {
	code int
	line string // first line with its codes, for logs; control characters replaced. "" unless asked for
}

// protocolError is an answer that is no SMTP reply. The connection cannot be used any further.
type protocolError struct{ what string }

func (e *protocolError) Error() string { return "SMTP reply: " + e.what }

// readReply reads one reply, of several lines or one. The first line is kept when the code begins with another digit
// than ok, or ok is 0. Each further line is handed to each, if not nil, without code and line end.
func readReply(r *bufio.Reader, ok int, each func(text []byte)) (reply, error) {
	var rep reply
	for n := 0; ; n++ {
		if n == maxReplyLines {
			return rep, &protocolError{fmt.Sprintf("more than %d lines", maxReplyLines)}
		}
		line, err := r.ReadSlice('\n')
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			return rep, &protocolError{fmt.Sprintf("line of more than %d bytes", maxReplyLine)}
		case err != nil && len(line) > 0 && errors.Is(err, io.EOF):
			return rep, io.ErrUnexpectedEOF
		case err != nil:
			return rep, err
		}
		line = bytes.TrimSuffix(bytes.TrimSuffix(line, []byte("\n")), []byte("\r"))
		code, text, more, err := parseReplyLine(line)
		if err != nil {
			return rep, err
		}
		if n == 0 {
			rep.code = code
			if ok == 0 || code/100 != ok {
				rep.line = printable(line)
			}
		} else {
			if code != rep.code {
				return rep, &protocolError{fmt.Sprintf("line with code %d in a reply with code %d", code, rep.code)}
			}
			if each != nil {
				each(text)
			}
		}
		if !more {
			return rep, nil
		}
	}
}

// parseReplyLine reads "250-text", "250 text" or "250" (RFC 5321 section 4.2).
func parseReplyLine(line []byte) (code int, text []byte, more bool, err error) {
	if len(line) < 3 || line[0] < '2' || line[0] > '5' || !digit(line[1]) || !digit(line[2]) {
		return 0, nil, false, &protocolError{fmt.Sprintf("%.40q does not begin with a code", line)}
	}
	code = int(line[0]-'0')*100 + int(line[1]-'0')*10 + int(line[2]-'0')
	if len(line) == 3 {
		return code, nil, false, nil
	}
	switch line[3] {
	case ' ':
	case '-':
		more = true
	default:
		return 0, nil, false, &protocolError{fmt.Sprintf("%.40q has no blank or hyphen after the code", line)}
	}
	return code, line[4:], more, nil
}

func digit(c byte) bool { return '0' <= c && c <= '9' }

// printable makes a line fit for a log: no control characters, not too long.
func printable(line []byte) string {
	if len(line) > maxFirstLine {
		line = line[:maxFirstLine]
	}
	for _, c := range line {
		if c < ' ' || c == 0x7f {
			return strings.Map(func(r rune) rune {
				if r < ' ' || r == 0x7f {
					return '?'
				}
				return r
			}, string(line))
		}
	}
	return string(line)
}

// text returns the reply's first line without the code, and without the enhanced status when strip is set.
func (r reply) text(strip bool) string {
	if len(r.line) < 4 {
		return ""
	}
	t := r.line[4:]
	if _, rest := splitStatus(t); strip && rest != "" {
		t = rest
	}
	return t
}

// status returns the enhanced status that the reply carries, zero when it has none or one of another class.
func (r reply) status() mtakit.Status {
	if len(r.line) > 4 {
		if st, _ := splitStatus(r.line[4:]); st.Class() == r.code/100 {
			return st
		}
	}
	return 0
}

// splitStatus takes an enhanced status off the front of a text (RFC 2034 section 4). It is zero when there is none.
func splitStatus(t string) (mtakit.Status, string) {
	word, rest, _ := strings.Cut(t, " ")
	if len(word) < 5 || len(word) > 9 || word[1] != '.' {
		return 0, t
	}
	st, err := mtakit.ParseStatus(word)
	if err != nil {
		return 0, t
	}
	return st, strings.TrimLeft(rest, " ")
}

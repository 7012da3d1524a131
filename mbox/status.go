package mbox

import (
	"bytes"
	"strconv"
	"strings"
)

// Status is what mail readers keep in the header of a message: Status, X-Status, X-Keywords and X-UID. Letters that
// have no meaning here are kept in Other and OtherX.
type Status struct {
	Seen     bool     // Status: R
	Old      bool     // Status: O, not recent any more
	Answered bool     // X-Status: A
	Flagged  bool     // X-Status: F
	Draft    bool     // X-Status: T
	Deleted  bool     // X-Status: D
	Keywords []string // X-Keywords
	UID      uint32   // X-UID; 0 means none
	Internal bool     // X-IMAP: if this is the mailbox's first message, it is a mail server's own and not for users

	Other, OtherX string // further letters of Status and X-Status
}

// ParseStatus reads the status fields of a header block. Of repeated fields the letters add up; the first X-UID
// counts.
func ParseStatus(header []byte) Status {
	var s Status
	for len(header) > 0 {
		n := fieldEnd(header)
		field := header[:n]
		header = header[n:]
		name, value, ok := bytes.Cut(field, []byte(":"))
		if !ok {
			continue
		}
		v := string(bytes.Join(bytes.Fields(value), []byte(" ")))
		switch strings.ToLower(string(trimLine(name))) {
		case "status":
			s.addStatus(v)
		case "x-status":
			s.addXStatus(v)
		case "x-keywords":
			s.Keywords = append(s.Keywords, strings.Fields(v)...)
		case "x-uid":
			if uid, err := strconv.ParseUint(v, 10, 32); err == nil && s.UID == 0 {
				s.UID = uint32(uid)
			}
		case "x-imap":
			s.Internal = true
		}
	}
	return s
}

// fieldEnd returns the length of the header field at the beginning of b, continuation lines included.
func fieldEnd(b []byte) int {
	for n := 0; ; {
		i := bytes.IndexByte(b[n:], '\n')
		if i < 0 {
			return len(b)
		}
		n += i + 1
		if n == len(b) || !isBlank(b[n]) {
			return n
		}
	}
}

func (s *Status) addStatus(v string) {
	for _, c := range v {
		switch c {
		case 'R':
			s.Seen = true
		case 'O':
			s.Old = true
		case ' ':
		default:
			s.Other += string(c)
		}
	}
}

func (s *Status) addXStatus(v string) {
	for _, c := range v {
		switch c {
		case 'A':
			s.Answered = true
		case 'F':
			s.Flagged = true
		case 'T':
			s.Draft = true
		case 'D':
			s.Deleted = true
		case ' ':
		default:
			s.OtherX += string(c)
		}
	}
}

// AppendFields appends Status, X-Status, X-Keywords and X-UID fields; empty ones are left out.
func (s Status) AppendFields(b []byte) []byte {
	letters := func(name, other string, set ...any) {
		v := ""
		for i := 0; i < len(set); i += 2 {
			if set[i].(bool) {
				v += set[i+1].(string)
			}
		}
		if v += other; v != "" {
			b = append(b, name+": "+v+"\n"...)
		}
	}
	letters("Status", s.Other, s.Seen, "R", s.Old, "O")
	letters("X-Status", s.OtherX, s.Answered, "A", s.Flagged, "F", s.Draft, "T", s.Deleted, "D")
	if len(s.Keywords) > 0 {
		b = append(b, "X-Keywords: "+strings.Join(s.Keywords, " ")+"\n"...)
	}
	if s.UID != 0 {
		b = append(b, "X-UID: "+strconv.FormatUint(uint64(s.UID), 10)+"\n"...)
	}
	return b
}

// IsStatusField reports whether a header field belongs to the status that mail readers keep.
func IsStatusField(name string) bool {
	switch strings.ToLower(name) {
	case "status", "x-status", "x-keywords", "x-uid":
		return true
	}
	return false
}

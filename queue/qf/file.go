package qf

import (
	"errors"
	"io"
	"strconv"
	"strings"
)

// Version is the highest version of the format that is read, and the one that is written.
const Version = 8

// Faults of a control file. All but ErrNoEnd and ErrEmpty make sendmail set the entry aside as lost.
var (
	ErrUnknownLine = errors.New("unrecognized line")
	ErrBlankLine   = errors.New("blank line")
	ErrFromLine    = errors.New("bogus From line")
	ErrBadValue    = errors.New("bad value")
	ErrAfterEnd    = errors.New("data after the end")
	ErrVersion     = errors.New("unsupported queue file version")
	// ErrNoEnd: the dot is missing. The file may be still being written, or was cut by a crash; sendmail leaves it alone.
	ErrNoEnd = errors.New("incomplete queue file: no terminating dot")
	// ErrEmpty: the file has no bytes. sendmail leaves it alone for ten minutes.
	ErrEmpty = errors.New("empty queue file")
)

// File is one control file. Values are bytes as they stand, without the type letter; a continued value contains its
// newlines.
type File struct {
	Version     int   // 0 when there is no V line
	Created     int64 // T; 0 when missing
	LastAttempt int64 // K
	Attempts    int   // N
	Priority    int64 // P
	DataDir     string
	Inode       string
	Body        string
	Quarantine  string
	Message     string // the M line before S
	Flags       string // letters
	Macros      []Macro
	Sender      string
	HasSender   bool
	EnvID       string // xtext
	Auth        string // xtext
	HasAuth     bool
	DeliverBy   *DeliverBy
	Rcpts       []Recipient
	Headers     []Header
	Extra       []Record // D, E and L lines, and those with an unknown letter

	raw    string // as parsed
	parsed bool
}

// Macro is one $ line. Name is "r" or "daemon_flags", without braces.
type Macro struct{ Name, Value string }

// DeliverBy is the ! line.
type DeliverBy struct {
	Mode    byte
	Seconds int64
}

// Recipient is one R line with the M, C, Q and r lines that belong to it.
type Recipient struct {
	Message string
	Control *Control // nil when there is no controlling user
	Orcpt   string   // xtext
	Final   string
	Flags   string
	Addr    string
}

// Control is a C line.
type Control struct {
	User     string // empty: the C:address form, without ids
	UID, GID int
	Addr     string
}

// Header is one H line. Value is everything after the colon, with the newlines of a folded field.
type Header struct {
	Cond string
	// Bare is true for the old form without question marks.
	Bare        bool
	Name, Value string
	// NoColon is true for a line that is no field at all; Name is then all of it.
	NoColon bool
}

// Record is one line of a control file.
type Record struct {
	Letter byte // 0 for an empty line
	Value  string
	Line   int
}

// WriteTo writes the file: the very bytes that were parsed when nothing was changed since, else what Append gives.
func (f *File) WriteTo(w io.Writer) (int64, error) {
	n, err := w.Write(f.Bytes())
	return int64(n), err
}

// Bytes returns what WriteTo writes.
func (f *File) Bytes() []byte {
	b := f.Append(nil)
	if f.parsed {
		if old, _ := Decode(f.raw, ""); old != nil && string(old.Append(nil)) == string(b) {
			return []byte(f.raw)
		}
	}
	return b
}

// Append appends the file in sendmail's order and in the current version. Newlines that would begin a new line become
// spaces.
func (f *File) Append(b []byte) []byte {
	b = appendNum(b, 'V', Version)
	b = appendNum(b, 'T', f.Created)
	b = appendNum(b, 'K', f.LastAttempt)
	b = appendNum(b, 'N', int64(f.Attempts))
	b = appendNum(b, 'P', f.Priority)
	b = appendOpt(b, 'd', f.DataDir)
	b = appendOpt(b, 'I', f.Inode)
	b = appendOpt(b, 'B', f.Body)
	b = appendOpt(b, 'q', f.Quarantine)
	b = appendOpt(b, 'M', f.Message)
	b = appendOpt(b, 'F', f.Flags)
	for _, m := range f.Macros {
		b = append(b, '$')
		if len(m.Name) == 1 {
			b = append(b, m.Name...)
		} else {
			b = append(b, '{')
			b = append(b, m.Name...)
			b = append(b, '}')
		}
		b = appendLine(b, m.Value)
	}
	for _, r := range f.Extra {
		b = append(b, r.Letter)
		b = appendFolded(b, r.Value)
	}
	if f.HasSender || f.Sender != "" {
		b = append(b, 'S')
		b = appendLine(b, f.Sender)
	}
	b = appendOpt(b, 'Z', f.EnvID)
	if f.HasAuth || f.Auth != "" {
		b = append(b, 'A')
		b = appendLine(b, f.Auth)
	}
	if f.DeliverBy != nil {
		b = append(b, '!', f.DeliverBy.Mode, ' ')
		b = strconv.AppendInt(b, f.DeliverBy.Seconds, 10)
		b = append(b, '\n')
	}
	b = f.appendRecipients(b)
	for _, h := range f.Headers {
		b = h.append(b)
	}
	return append(b, '.', '\n')
}

func (f *File) appendRecipients(b []byte) []byte {
	var ctl *Control
	for _, r := range f.Rcpts {
		b = appendOpt(b, 'M', r.Message)
		if !sameControl(ctl, r.Control) {
			b = append(b, 'C')
			b = appendLine(b, r.Control.String())
			ctl = r.Control
		}
		b = appendOpt(b, 'Q', r.Orcpt)
		b = appendOpt(b, 'r', r.Final)
		b = append(b, 'R')
		b = append(b, r.Flags...)
		b = append(b, ':')
		b = appendLine(b, r.Addr)
	}
	return b
}

func sameControl(a, b *Control) bool {
	if a == nil || b == nil {
		return a == b
	}
	return *a == *b
}

// String is the value of a C line; nil gives the empty one that ends a controlling user's reign.
func (c *Control) String() string {
	switch {
	case c == nil:
		return ""
	case c.User == "":
		return ":" + c.Addr
	}
	return c.User + ":" + strconv.Itoa(c.UID) + ":" + strconv.Itoa(c.GID) + ":" + c.Addr
}

func (h Header) append(b []byte) []byte {
	b = append(b, 'H')
	if !h.Bare {
		b = append(b, '?')
		b = append(b, h.Cond...)
		b = append(b, '?')
	}
	if h.NoColon {
		return appendFolded(b, h.Name)
	}
	b = append(b, h.Name...)
	b = append(b, ':')
	return appendFolded(b, h.Value)
}

func appendNum(b []byte, letter byte, n int64) []byte {
	return append(strconv.AppendInt(append(b, letter), n, 10), '\n')
}

func appendOpt(b []byte, letter byte, s string) []byte {
	if s == "" {
		return b
	}
	return appendLine(append(b, letter), s)
}

// appendLine appends a value that has to stay on one line.
func appendLine(b []byte, s string) []byte {
	if strings.IndexByte(s, '\n') >= 0 {
		s = strings.ReplaceAll(s, "\n", " ")
	}
	return appendEnd(append(b, s...))
}

// appendEnd ends a line. A CR there would be taken for a part of the line end.
func appendEnd(b []byte) []byte {
	if n := len(b) - 1; b[n] == '\r' {
		b[n] = ' '
	}
	return append(b, '\n')
}

// appendFolded appends a value whose newlines stay when a space or tab follows.
func appendFolded(b []byte, s string) []byte {
	for {
		i := strings.IndexByte(s, '\n')
		if i < 0 {
			break
		}
		b = append(b, s[:i]...)
		if s = s[i+1:]; s == "" {
			break // a newline at the very end
		}
		if s[0] == ' ' || s[0] == '\t' {
			b = appendEnd(b)
		} else {
			b = append(b, ' ')
		}
	}
	return appendEnd(append(b, s...))
}

// MacroOrder is the place of a macro in sendmail's symbol table, by which it writes the $ lines. Lower goes first.
func MacroOrder(name string) int {
	if len(name) > 1 {
		name = "{" + name + "}"
	}
	h := 1
	for i := 0; i < len(name); i++ {
		c := name[i]
		if c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		h = (h<<1 ^ int(c)) % 2003
	}
	return h
}

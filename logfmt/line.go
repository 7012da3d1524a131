package logfmt

import (
	"strings"
	"time"

	"github.com/mtakit/mtakit"
)

// Kind is the kind of a line, in one word.
type Kind string

// The kinds of line that have types of their own. Every other kind is named in the package comment, and its parts are in
// Line.Fields.
const (
	KindFrom      Kind = "from"       // Line.From is set
	KindTo        Kind = "to"         // Line.To is set
	KindDSN       Kind = "dsn"        // a report about the message was made: new_id, type, reason
	KindClone     Kind = "clone"      // an owner's copy was split off: new_id, owner
	KindSplit     Kind = "split"      // recipients were moved to new envelopes: count, ids or id
	KindDiscarded Kind = "discarded"  // the message was thrown away
	KindDone      Kind = "done"       // the message left the queue: delay, ntries
	KindPart      Kind = "split_part" // a piece of a long line; Parse joins them unless told not to
	KindOther     Kind = "other"      // text that is not known here: text
)

// Line is one line of a log.
type Line struct {
	Pos      mtakit.Position // of the line's beginning
	Time     time.Time       // as far as it is known: see ParseOptions
	Host     string          // "" in syslog form
	Tag      string          // "sendmail"
	PID      int             // 0 when the line has none
	Severity Severity        // 0 when the line does not begin with <PRI>
	Facility int             // as Severity; 2 is mail
	ID       string          // queue id, NoQueue, or "" for lines without one
	Part     int             // for KindPart: its number, from 1
	More     bool            // for KindPart: others follow
	Kind     Kind
	Text     string // what stands behind the id, as logged (escaped)

	From   *From   // for KindFrom
	To     *To     // for KindTo
	Fields []Field // the named parts of every other kind, unescaped, in the order of the line
}

// Field is a named part of a line.
type Field struct{ Name, Value string }

// Field returns a part by name, or "".
func (l *Line) Field(name string) string {
	for _, f := range l.Fields {
		if f.Name == name {
			return f.Value
		}
	}
	return ""
}

// NewID returns the id of the message that the line says was made out of this one, or "".
func (l *Line) NewID() string { return l.Field("new_id") }

// Relay is a peer as from= and other lines name it.
type Relay struct {
	User   string // from ident, or the local user
	Host   string // name; a literal in brackets when there is no name
	Addr   string // without brackets; IPv6 with its "IPv6:" tag
	Forged bool   // name and address do not agree
}

// ParseRelay reads "user@host [addr] (may be forged)", in which all but host may be missing.
func ParseRelay(s string) Relay {
	var r Relay
	s, r.Forged = strings.CutSuffix(s, " (may be forged)")
	host, addr := cutRelay(s)
	r.Addr = strings.Trim(addr, " []")
	if user, rest, ok := strings.Cut(host, "@"); ok {
		r.User, host = user, rest
	}
	r.Host = host
	return r
}

// cutDelay reads "1+02:03:04" at the beginning of s.
func cutDelay(s string) (d time.Duration, rest string, ok bool) {
	n, rest, ok := cutInt(s)
	if !ok {
		return 0, s, false
	}
	days := int64(0)
	if strings.HasPrefix(rest, "+") {
		days = n
		if n, rest, ok = cutInt(rest[1:]); !ok {
			return 0, s, false
		}
	}
	if len(rest) < 6 || rest[0] != ':' || rest[3] != ':' || days > 100_000 || n > 100_000 {
		return 0, s, false
	}
	m, r1, ok1 := cutInt(rest[1:3])
	sec, r2, ok2 := cutInt(rest[4:6])
	if !ok1 || !ok2 || r1 != "" || r2 != "" {
		return 0, s, false
	}
	return time.Duration(days*86400+n*3600+m*60+sec) * time.Second, rest[6:], true
}

// cutInt reads a decimal number at the beginning of s.
func cutInt(s string) (n int64, rest string, ok bool) {
	i := 0
	neg := strings.HasPrefix(s, "-")
	if neg {
		i = 1
	}
	first := i
	for ; i < len(s) && s[i] >= '0' && s[i] <= '9'; i++ {
		d := int64(s[i] - '0')
		if n > (1<<63-1-d)/10 {
			return 0, s, false
		}
		n = n*10 + d
	}
	if i == first {
		return 0, s, false
	}
	if neg {
		n = -n
	}
	return n, s[i:], true
}

package maildir

import (
	"cmp"
	"math"
	"strconv"
	"strings"
)

// Sub is one of the directories that messages are in.
type Sub uint8

// The directories of messages.
const (
	NewSub Sub = iota // new: delivered, not seen by a mail reader yet
	CurSub            // cur: seen by one
)

// String returns the directory's name.
func (s Sub) String() string {
	if s == NewSub {
		return "new"
	}
	return "cur"
}

// Flags of a message, in the order in which a name holds them.
const (
	FlagDraft   = 'D'
	FlagFlagged = 'F'
	FlagPassed  = 'P' // forwarded, resent or bounced
	FlagReplied = 'R'
	FlagSeen    = 'S'
	FlagTrashed = 'T' // marked to be removed
)

const flagLetters = "DFPRST"

// Entry is a message as its directory entry shows it: everything here comes from the name, without opening the
// file. Names are bytes, and need not be UTF-8. Entry is comparable.
type Entry struct {
	Sub  Sub
	Name string // file name
	sep  byte
}

// ParseEntry returns the entry of a file name. separator stands between base and info; 0 means ':'.
func ParseEntry(sub Sub, name string, separator byte) Entry {
	if separator == 0 {
		separator = ':'
	}
	return Entry{Sub: sub, Name: name, sep: separator}
}

func (e Entry) separator() byte {
	if e.sep == 0 {
		return ':'
	}
	return e.sep
}

// Base returns the unique part of the name: what stands before the first separator. It stays the same when flags
// change.
func (e Entry) Base() string {
	if i := strings.IndexByte(e.Name, e.separator()); i >= 0 {
		return e.Name[:i]
	}
	return e.Name
}

// Info returns what stands after the last separator; ok is false when there is none.
func (e Entry) Info() (info string, ok bool) {
	i := strings.LastIndexByte(e.Name, e.separator())
	if i < 0 {
		return "", false
	}
	return e.Name[i+1:], true
}

// letters returns the characters after "2," up to the next comma.
func (e Entry) letters() (string, bool) {
	info, _ := e.Info()
	rest, ok := strings.CutPrefix(info, "2,")
	if !ok {
		return "", false
	}
	rest, _, _ = strings.Cut(rest, ",")
	return rest, true
}

// HasFlags reports whether the info part has the form that holds flags. A message without is still one.
func (e Entry) HasFlags() bool {
	_, ok := e.letters()
	return ok
}

// Flags returns the flags that the format defines, of "DFPRST", in that order.
func (e Entry) Flags() string { return e.pick(func(c byte) bool { return isFlag(c) }) }

// KeywordLetters returns the letters a to z, which stand for keywords; see Keywords.
func (e Entry) KeywordLetters() string { return e.pick(isKeyword) }

// Unknown returns the characters that are neither flags nor keywords. They are kept when flags change.
func (e Entry) Unknown() string {
	return e.pick(func(c byte) bool { return !isFlag(c) && !isKeyword(c) })
}

func isFlag(c byte) bool    { return strings.IndexByte(flagLetters, c) >= 0 }
func isKeyword(c byte) bool { return 'a' <= c && c <= 'z' }

// Has reports whether the message has a flag or keyword letter.
func (e Entry) Has(flag byte) bool {
	s, _ := e.letters()
	return strings.IndexByte(s, flag) >= 0
}

// pick returns the letters that are wanted, sorted, each once.
func (e Entry) pick(wanted func(byte) bool) string {
	s, _ := e.letters()
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if wanted(s[i]) {
			out = append(out, s[i])
		}
	}
	return canonicalFlags(string(out))
}

// Size returns the file's size in bytes as the name tells (,S=). Trust the file when it differs.
func (e Entry) Size() (n int64, ok bool) { return e.field(",S=") }

// VirtualSize returns the size with every line end counted as CR LF, as the name tells (,W=).
func (e Entry) VirtualSize() (n int64, ok bool) { return e.field(",W=") }

func (e Entry) field(name string) (int64, bool) {
	base := e.Base()
	i := strings.Index(base, name)
	if i < 0 {
		return 0, false
	}
	v, _, _ := strings.Cut(base[i+len(name):], ",")
	return digits(v)
}

// digits reads a number that consists of digits alone.
func digits(s string) (int64, bool) {
	if s == "" {
		return 0, false
	}
	for i := 0; i < len(s); i++ {
		if s[i] < '0' || s[i] > '9' {
			return 0, false
		}
	}
	n, err := strconv.ParseInt(s, 10, 64)
	return n, err == nil
}

// Time returns the seconds since 1970 that the name begins with; ok is false when it does not begin with a number
// and a dot.
func (e Entry) Time() (sec int64, ok bool) {
	i := strings.IndexByte(e.Name, '.')
	if i < 0 || i > len(e.Base()) {
		return 0, false
	}
	return digits(e.Name[:i])
}

// micros returns the microseconds field and the sequence fields, for sorting.
func (e Entry) micros() (us, seq int64) {
	_, rest, _ := strings.Cut(e.Base(), ".")
	unique, _, _ := strings.Cut(rest, ".")
	for i := 0; i < len(unique); {
		c := unique[i]
		j := i + 1
		for j < len(unique) && (unique[j] >= '0' && unique[j] <= '9') {
			j++
		}
		n, _ := digits(unique[i+1 : j])
		switch c {
		case 'M':
			us = n
		case 'Q', '_', '#':
			seq = n
		}
		i = j
	}
	return us, seq
}

// Compare orders messages by time of delivery as the names tell it: seconds, microseconds, sequence, then name.
// Names without a time come first.
func Compare(a, b Entry) int { return a.orderKey().compare(b.orderKey()) }

// orderKey is what Compare looks at.
type orderKey struct {
	sec, us, seq int64
	e            Entry
}

func (e Entry) orderKey() orderKey {
	k := orderKey{sec: math.MinInt64, e: e}
	if t, ok := e.Time(); ok {
		k.sec = t
	}
	k.us, k.seq = e.micros()
	return k
}

func (k orderKey) compare(o orderKey) int {
	return cmp.Or(cmp.Compare(k.sec, o.sec), cmp.Compare(k.us, o.us), cmp.Compare(k.seq, o.seq), cmp.Compare(k.e.Name, o.e.Name), cmp.Compare(k.e.Sub, o.e.Sub))
}

// withFlags returns the name with other flags and keyword letters; unknown characters, and what follows the next
// comma, stay.
func (e Entry) withFlags(flags string) string {
	tail := ""
	if info, _ := e.Info(); e.HasFlags() {
		if i := strings.IndexByte(info[2:], ','); i >= 0 {
			tail = info[2+i:]
		}
	}
	return e.Base() + string(e.separator()) + "2," + canonicalFlags(flags+e.Unknown()) + tail
}

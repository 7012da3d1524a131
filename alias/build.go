package alias

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/mtakit/mtakit"
	"github.com/mtakit/mtakit/internal/lex"
)

// Builder compiles an alias file the way newaliases does. The zero value follows a stock configuration.
type Builder struct {
	Parser
	// CheckValues parses every element of every value and reports what is wrong with it, no more: the entry is stored
	// all the same (sendmail's CheckAliases).
	CheckValues bool
	// CheckHost is asked about the domains in values when CheckValues is set; its error is reported. Nil asks nobody.
	// sendmail looks them up in the DNS and says "example.org: Name server timeout".
	CheckHost func(domain string) error
	// Stored reports whether a key was stored already, so that Build does not have to remember the entries itself. It
	// is not asked when Append is set.
	Stored func(key string) bool
}

// Report is what newaliases prints and how it exits.
type Report struct {
	Lines []string // the messages in order, without newlines; the summary is among them
	Exit  int      // sysexits.h: 0, 64, 70, …
	// Aliases is the number of entries stored, repeated keys included, Longest the length of the longest value and
	// Bytes the sum of the lengths of keys and values.
	Aliases, Longest, Bytes int
}

// add appends a message and remembers the first exit status that is not zero.
// Like sendmail it prints seven bits of every byte, up to one of which nothing is left: 0x80 ends a message.
func (r *Report) add(exit int, format string, args ...any) {
	line := []byte(fmt.Sprintf(format, args...))
	for i := range line {
		line[i] &= 0x7f
	}
	line, _, _ = bytes.Cut(line, []byte{0})
	r.Lines = append(r.Lines, string(line))
	r.fail(exit)
}

func (r *Report) fail(exit int) {
	if r.Exit == 0 {
		r.Exit = exit
	}
}

// Store takes the entries of a database that is being built: value replaces what was stored under key before.
type Store func(key, value string) error

// EndKey is the key, and the value, of the entry that newaliases stores last: a database without it is not complete.
const EndKey = "@"

// Build reads an alias file and stores its entries in order, then EndKey. name stands in the messages. The report
// is complete unless err is not nil: then reading or storing failed and the database must not be used. The file is read
// line by line: of its text, Build holds one entry at a time.
func (b *Builder) Build(r io.Reader, name string, store Store) (Report, error) {
	c := &compiler{Builder: b, name: name, store: store, stored: make(map[string]string)}
	s := newLineReader(r, &b.Parser)
	for {
		l, text, err := s.next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return c.report, fmt.Errorf("%s: %w", name, err)
		}
		if err := c.line(l, text); err != nil {
			return c.report, fmt.Errorf("%s:%d: %w", name, l.first, err)
		}
	}
	if err := store(EndKey, EndKey); err != nil {
		return c.report, fmt.Errorf("%s: %w", name, err)
	}
	rep := &c.report
	rep.add(0, "%s: %d aliases, longest %d bytes, %d bytes total", name, rep.Aliases, rep.Longest, rep.Bytes)
	return c.report, nil
}

// compiler is one run of a Builder.
type compiler struct {
	*Builder
	name   string
	store  Store
	stored map[string]string // what must be remembered: keys, with their values if Append
	lost   int               // lines that sendmail does not count: those behind the point where one became too long
	report Report

	indented bool // the line before was one that began with a blank: more of them are not worth a message
}

// say reports something about the entry on line l. about is what sendmail names in front of it, if anything.
func (c *compiler) say(l line, exit int, about, text string) {
	if about != "" {
		about = lex.Short(about, 203) + "... "
	}
	c.report.add(exit, "%s: line %d: %s%s", lex.Short(c.name, lex.ShortFile), l.last-c.lost, about, text)
}

// line compiles one logical line, s.
func (c *compiler) line(l line, s string) error {
	if l.tooLong > 0 {
		lost := l.last - l.tooLong
		l.last = l.tooLong
		c.say(l, exitSoftware, "", ErrTooLong.Error())
		c.lost += lost
		return nil
	}
	switch {
	case s == "" || s[0] == '#':
		c.indented = false
		return nil
	case s[0] == ' ' || s[0] == '\t':
		if !c.indented {
			c.say(l, exitSoftware, "", ErrLeadingSpace.Error())
		}
		c.indented = true
		return nil
	}
	c.indented = false
	colon := strings.IndexByte(s, ':')
	if colon < 0 {
		c.say(l, exitSoftware, "", ErrNoColon.Error())
		return nil
	}
	k := c.readKey(s)
	c.complain(l, k.says)
	if k.err == ErrKey {
		if k.is8bit() { // sendmail has changed the line
			s = replace(s[:len(k.text)], isC1) + s[len(k.text):]
		}
		c.say(l, exitSoftware, "", lineError(s, k.err).Error())
		return nil
	}
	for _, say := range k.says {
		if say.exit != 0 { // sendmail has changed the line after it complained
			k.text = replace(k.text, isC0)
		}
	}
	value := skipSpace(s[colon+1:])
	about := k.text
	if c.CheckValues {
		value, about = c.check(l, value, about)
	}
	switch {
	case k.err != nil:
		c.say(l, exitSoftware, k.text, k.err.Error())
	case value == "":
		c.say(l, exitSoftware, "", lineError(s, ErrNoValue).Error())
	default:
		return c.put(l, k.user, value, about)
	}
	return nil
}

func (k *entryKey) is8bit() bool {
	return len(k.says) > 0 && k.says[len(k.says)-1].is8bit
}

func (c *compiler) complain(l line, says []complaint) {
	for _, say := range says {
		text := say.err.Error()
		if v := asVerdict(say.err); v != nil {
			text = v.Text
		}
		c.say(l, say.exit, say.about, text)
	}
}

// put stores an entry. about is the address that sendmail has looked at last.
func (c *compiler) put(l line, key, value, about string) error {
	key = c.foldKey(key)
	var old string
	var again bool
	remember := c.Stored == nil || c.Append
	if remember {
		old, again = c.stored[key]
	} else {
		again = c.Stored(key)
	}
	c.report.Aliases++
	c.report.Bytes += len(key) + len(value)
	c.report.Longest = max(c.report.Longest, len(value))
	if again && c.Append {
		value += "," + old
	} else if again {
		c.say(l, 0, about, "Warning: duplicate alias name "+key)
	}
	switch {
	case c.Append:
		c.stored[key] = value
	case remember && !again:
		c.stored[strings.Clone(key)] = "" // a copy, which does not hold the line in memory
	}
	return c.store(key, value)
}

// check parses the elements of a value. It returns what sendmail leaves of the value, since bad bytes are replaced where
// the parser meets them, and the last element.
func (c *compiler) check(l line, value, last string) (left, about string) {
	var b strings.Builder
	for {
		rest := strings.TrimLeft(value, ", \t\r\n\v\f")
		b.WriteString(value[:len(value)-len(rest)])
		if rest == "" {
			return b.String(), last
		}
		a := c.parseAddress(rest, ',')
		for i := range a.says {
			if a.says[i].about != "" && a.says[i].exit != 0 {
				a.says[i].about = rest // sendmail does not cut the list here
			}
		}
		c.complain(l, a.says)
		for _, say := range a.says {
			switch {
			case say.is8bit:
				rest = replace(rest[:a.n], isC1) + rest[a.n:]
			case say.exit != 0:
				rest = replace(rest, isC0)
			case say.about == "":
				rest = replace(rest, isControl)
			}
		}
		last = rest
		switch {
		case !a.valid:
			c.say(l, 0, rest, rest+"... bad address")
		case a.host != "" && c.CheckHost != nil:
			if err := c.CheckHost(a.host); err != nil {
				c.say(l, 0, "", err.Error())
			}
		}
		n := max(a.n, 1) // a NUL byte ends what the parser reads, and must not end up here again
		b.WriteString(rest[:n])
		value = rest[n:]
	}
}

// asVerdict finds the *mtakit.Error in err's chain.
func asVerdict(err error) *mtakit.Error {
	var v *mtakit.Error
	if errors.As(err, &v) {
		return v
	}
	return nil
}

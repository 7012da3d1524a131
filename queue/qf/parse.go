package qf

import (
	"errors"
	"fmt"
	"io"
	"iter"
	"strconv"
	"strings"

	"github.com/mtakit/mtakit"
)

// Parse reads a control file. name is for error messages. The File holds every line that could be understood; the error
// joins one *mtakit.SyntaxError for each fault, with the sentinels of this package inside, and the reader's own error.
func Parse(r io.Reader, name string) (*File, error) {
	b, err := io.ReadAll(r)
	if err != nil {
		return &File{}, fmt.Errorf("%s: %w", name, err)
	}
	return Decode(string(b), name)
}

// Decode is Parse of a text in memory. The File keeps parts of the text.
func Decode(text, name string) (*File, error) {
	f := &File{raw: text, parsed: true}
	if text == "" {
		return f, &mtakit.SyntaxError{Pos: mtakit.Position{File: name}, Err: ErrEmpty}
	}
	p := parser{f: f}
	var errs []error
	last := 0
	for rec := range Records(text) {
		last = rec.Line
		if err := p.record(rec); err != nil {
			errs = append(errs, &mtakit.SyntaxError{Pos: mtakit.Position{File: name, Line: rec.Line}, Err: err})
		}
	}
	if !p.ended {
		errs = append(errs, &mtakit.SyntaxError{Pos: mtakit.Position{File: name, Line: last}, Err: ErrNoEnd})
	}
	return f, errors.Join(errs...)
}

// Records yields the lines of a control file with continuations joined, whatever they mean. Lines are not checked
// in any way: mailq shows damaged files, too.
func Records(text string) iter.Seq[Record] {
	return func(yield func(Record) bool) {
		line := 0
		for text != "" {
			rec := Record{Line: line + 1}
			var val string
			for folded := false; ; folded = true {
				line++
				l, rest, _ := strings.Cut(text, "\n")
				text = rest
				l = strings.TrimRight(l, "\r")
				if folded {
					val += "\n" + l
				} else {
					val = l
				}
				if text == "" || text[0] != ' ' && text[0] != '\t' || l == "" && !folded {
					break
				}
			}
			if val != "" {
				rec.Letter, rec.Value = val[0], val[1:]
			}
			if !yield(rec) {
				return
			}
		}
	}
}

type parser struct {
	f     *File
	r     Recipient // what came before its R line
	ctl   *Control
	ended bool
}

func (p *parser) record(rec Record) error {
	f, v := p.f, rec.Value
	if p.ended {
		return fmt.Errorf("%w: %q", ErrAfterEnd, string(rec.Letter)+v)
	}
	switch rec.Letter {
	case 'V':
		return p.version(v)
	case 'T':
		f.Created = atol(v)
	case 'K':
		f.LastAttempt = atol(v)
	case 'N':
		f.Attempts = int(atol(v))
	case 'P':
		f.Priority = atol(v)
	case 'd':
		f.DataDir = v
	case 'I':
		f.Inode = v
	case 'B':
		f.Body = v
		if !strings.EqualFold(v, "7BIT") && !strings.EqualFold(v, "8BITMIME") {
			return fmt.Errorf("%w: body type %q", ErrBadValue, v)
		}
	case 'q':
		f.Quarantine = v
	case 'M':
		if f.HasSender {
			p.r.Message = v
		} else {
			f.Message = v
		}
	case 'F':
		if strings.HasPrefix(v, "rom ") {
			return fmt.Errorf("%w: %q", ErrFromLine, "F"+v)
		}
		f.Flags = v
	case '$':
		return p.macro(v)
	case 'S':
		f.Sender, f.HasSender = v, true
	case 'Z':
		f.EnvID = v
	case 'A':
		f.Auth, f.HasAuth = v, true
		if !ValidXtext(v) {
			return fmt.Errorf("%w: AUTH %q", ErrBadValue, v)
		}
	case '!':
		p.deliverBy(v)
	case 'C':
		p.ctl = parseControl(v, f.Version)
	case 'Q':
		p.r.Orcpt = v
	case 'r':
		p.r.Final = v
	case 'R':
		p.recipient(v)
	case 'H':
		f.Headers = append(f.Headers, ParseHeader(v))
	case 'D', 'E', 'L':
		f.Extra = append(f.Extra, rec)
	case '.':
		p.ended = true
	case 0:
		return ErrBlankLine
	default:
		f.Extra = append(f.Extra, rec)
		return fmt.Errorf("%w: %q", ErrUnknownLine, string(rec.Letter)+v)
	}
	return nil
}

func (p *parser) version(v string) error {
	p.f.Version = int(atol(v))
	if p.f.Version > Version {
		return fmt.Errorf("%w: %d is greater than %d", ErrVersion, p.f.Version, Version)
	}
	return nil
}

func (p *parser) macro(v string) error {
	m := Macro{}
	switch {
	case strings.HasPrefix(v, "{"):
		name, value, ok := strings.Cut(v[1:], "}")
		if !ok {
			return fmt.Errorf("%w: macro %q", ErrBadValue, v)
		}
		m = Macro{name, value}
	case v != "":
		m = Macro{v[:1], v[1:]}
	default:
		return fmt.Errorf("%w: macro without a name", ErrBadValue)
	}
	p.f.Macros = append(p.f.Macros, m)
	return nil
}

func (p *parser) deliverBy(v string) {
	if v == "" {
		return
	}
	p.f.DeliverBy = &DeliverBy{Mode: v[0], Seconds: atol(v[1:])}
}

func (p *parser) recipient(v string) {
	r := p.r
	p.r = Recipient{}
	r.Control = p.ctl
	if p.f.Version < 1 {
		r.Flags, r.Addr = "PFD", v // what sendmail assumes for a recipient without flags
	} else {
		flags, addr, ok := strings.Cut(v, ":")
		if !ok {
			p.f.Extra = append(p.f.Extra, Record{Letter: 'R', Value: v})
			return
		}
		r.Flags, r.Addr = flags, addr
	}
	p.f.Rcpts = append(p.f.Rcpts, r)
}

// parseControl reads the value of a C line. Before version 2 it was user:address.
func parseControl(v string, version int) *Control {
	if v == "" {
		return nil
	}
	user, rest, ok := strings.Cut(v, ":")
	if !ok {
		return &Control{Addr: v}
	}
	if user == "" {
		return &Control{Addr: rest}
	}
	if version < 2 {
		return &Control{User: user, Addr: rest}
	}
	uid, rest, ok1 := strings.Cut(rest, ":")
	gid, addr, ok2 := strings.Cut(rest, ":")
	u, err1 := strconv.Atoi(uid)
	g, err2 := strconv.Atoi(gid)
	if !ok1 || !ok2 || err1 != nil || err2 != nil {
		return &Control{Addr: v}
	}
	return &Control{User: user, UID: u, GID: g, Addr: addr}
}

// ParseHeader reads the value of an H line.
func ParseHeader(v string) Header {
	h := Header{Bare: true}
	if rest, ok := strings.CutPrefix(v, "?"); ok {
		if cond, field, ok := strings.Cut(rest, "?"); ok {
			h.Bare, h.Cond, v = false, cond, field
		}
	}
	name, value, ok := strings.Cut(v, ":")
	h.Name, h.Value, h.NoColon = name, value, !ok
	return h
}

// atol reads a number as C does: optional sign and leading digits, everything else ignored.
func atol(s string) int64 {
	s = strings.TrimLeft(s, " \t")
	end := 0
	for end < len(s) && (s[end] >= '0' && s[end] <= '9' || end == 0 && (s[end] == '-' || s[end] == '+')) {
		end++
	}
	n, _ := strconv.ParseInt(s[:end], 10, 64)
	return n
}

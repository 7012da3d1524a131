package logfmt

import (
	"bufio"
	"errors"
	"io"
	"iter"
	"strings"
	"time"

	"github.com/mtakit/mtakit"
)

// Errors of Parse, found in a *mtakit.SyntaxError.
var (
	ErrNoHeader = errors.New("no time stamp and program name before the text")
	ErrTooLong  = errors.New("line longer than MaxLine")
)

// ParseOptions tunes Parse and ParseLine. The zero value is ready for use.
type ParseOptions struct {
	// Now decides the year, which time stamps do not tell: the latest one in which the time is not more than a day
	// after Now. Zero means the present.
	Now time.Time
	// Location is the time zone of the time stamps. Nil means local time.
	Location *time.Location
	// MaxLine is the longest line accepted, in bytes. Zero means 65,536. What sendmail writes stays below 1,024 and
	// the header of the log daemon.
	MaxLine int
	// KeepParts leaves the pieces of long lines as they are, of KindPart. Otherwise they are joined: the line takes the
	// place of its last piece, and pieces whose end is missing come at the end of the log.
	KeepParts bool
}

// Parse reads a log, line by line. name appears in positions only. A line that no syslog daemon writes yields a
// *mtakit.SyntaxError, and reading goes on; an error of r yields that error and ends it.
//
// A Line belongs to the caller.
func Parse(r io.Reader, name string, opts *ParseOptions) iter.Seq2[*Line, error] {
	p := newParser(opts)
	return func(yield func(*Line, error) bool) {
		br := bufio.NewReaderSize(r, 64<<10)
		var joining joiner
		for n := 1; ; n++ {
			text, tooLong, err := readLine(br, p.opts.MaxLine)
			if err != nil && (err != io.EOF || text == "") {
				for _, l := range joining.rest() {
					if !yield(l, nil) {
						return
					}
				}
				if err != io.EOF {
					yield(nil, err)
				}
				return
			}
			pos := mtakit.Position{File: name, Line: n}
			if tooLong {
				if !yield(nil, &mtakit.SyntaxError{Pos: pos, Err: ErrTooLong}) {
					return
				}
				continue
			}
			l, perr := p.parse(text)
			if perr != nil {
				if !yield(nil, &mtakit.SyntaxError{Pos: pos, Err: perr}) {
					return
				}
				continue
			}
			l.Pos = pos
			if l.Kind == KindPart && !p.opts.KeepParts {
				if l = joining.add(l); l == nil {
					continue
				}
				l.classify()
			}
			if !yield(l, nil) {
				return
			}
		}
	}
}

// ParseLine reads one line without its end. Pieces of long lines stay pieces.
func ParseLine(text string, opts *ParseOptions) (*Line, error) {
	l, err := newParser(opts).parse(text)
	if err != nil {
		return nil, &mtakit.SyntaxError{Err: err}
	}
	return l, nil
}

// readLine reads up to LF, without it and a CR before it. A line longer than most is skipped.
func readLine(br *bufio.Reader, most int) (text string, tooLong bool, err error) {
	var long []byte
	for {
		piece, err := br.ReadSlice('\n')
		if tooLong = tooLong || len(long)+len(piece) > most+1; tooLong {
			long = nil
		} else if err == bufio.ErrBufferFull || long != nil {
			long = append(long, piece...)
		}
		if err == bufio.ErrBufferFull {
			continue
		}
		if tooLong {
			return "", true, err
		}
		if long == nil {
			long = piece
		}
		text = strings.TrimSuffix(strings.TrimSuffix(string(long), "\n"), "\r")
		if err == io.EOF && len(long) > 0 {
			err = nil // the next call finds the end again
		}
		return text, false, err
	}
}

type parser struct{ opts ParseOptions }

func newParser(opts *ParseOptions) *parser {
	p := &parser{}
	if opts != nil {
		p.opts = *opts
	}
	if p.opts.Now.IsZero() {
		p.opts.Now = time.Now()
	}
	if p.opts.Location == nil {
		p.opts.Location = time.Local
	}
	if p.opts.MaxLine == 0 {
		p.opts.MaxLine = 1 << 16
	}
	return p
}

// parse reads the header of a line: [<PRI>]Mmm dd hh:mm:ss [host ]tag[pid]: text. RFC 3164 section 4.1.
func (p *parser) parse(s string) (*Line, error) {
	l := &Line{}
	if strings.HasPrefix(s, "<") {
		n, rest, ok := cutInt(s[1:])
		if !ok || n < 0 || n > 191 || !strings.HasPrefix(rest, ">") {
			return nil, ErrNoHeader
		}
		l.Severity, l.Facility, s = Severity(n&7), int(n>>3), rest[1:]
	}
	var ok bool
	if l.Time, s, ok = p.cutStamp(s); !ok {
		return nil, ErrNoHeader
	}
	head, text, ok := strings.Cut(s, ": ")
	if !ok {
		if head, ok = strings.CutSuffix(s, ":"); !ok {
			return nil, ErrNoHeader
		}
	}
	if host, tag, ok := strings.Cut(head, " "); ok {
		l.Host, head = host, tag
	}
	if head == "" || strings.Contains(head, " ") {
		return nil, ErrNoHeader
	}
	l.Tag = head
	if tag, rest, ok := strings.Cut(head, "["); ok {
		pid, rest, ok := cutInt(rest)
		if !ok || rest != "]" || pid < 0 {
			return nil, ErrNoHeader
		}
		l.Tag, l.PID = tag, int(pid)
	}
	l.cutID(text)
	l.classify()
	return l, nil
}

// cutStamp reads the time stamp and the blank behind it. It also knows the form of newer log daemons, RFC 3339.
func (p *parser) cutStamp(s string) (at time.Time, rest string, ok bool) {
	if len(s) > 0 && s[0] >= '0' && s[0] <= '9' {
		stamp, rest, _ := strings.Cut(s, " ")
		at, err := time.Parse(time.RFC3339Nano, stamp)
		return at, rest, err == nil
	}
	const form = "Jan _2 15:04:05"
	if len(s) <= len(form) || s[len(form)] != ' ' {
		return at, s, false
	}
	m := strings.Index(months, s[:3])
	day, d1, ok1 := cutInt(strings.TrimPrefix(s[4:6], " "))
	hour, d2, ok2 := cutInt(s[7:9])
	minute, d3, ok3 := cutInt(s[10:12])
	sec, d4, ok4 := cutInt(s[13:15])
	if m < 0 || m%3 != 0 || !(ok1 && ok2 && ok3 && ok4) || d1+d2+d3+d4 != "" || s[3] != ' ' || s[6] != ' ' || s[9] != ':' || s[12] != ':' ||
		day < 1 || day > 31 || hour > 23 || minute > 59 || sec > 60 || min(hour, minute, sec) < 0 {
		return at, s, false
	}
	limit := p.opts.Now.Add(24 * time.Hour)
	for year := p.opts.Now.In(p.opts.Location).Year() + 1; ; year-- {
		at = time.Date(year, time.Month(m/3+1), int(day), int(hour), int(minute), int(sec), 0, p.opts.Location)
		// Feb 29 has to wait for a leap year; other impossible days become the next one.
		if !at.After(limit) && (at.Day() == int(day) || day != 29) {
			return at, s[len(form)+1:], true
		}
	}
}

// cutID takes the queue id, and the number of a piece, off the text.
func (l *Line) cutID(s string) {
	n := idLen(s)
	if n == 0 {
		l.Text = s
		return
	}
	rest := s[n:]
	if r, ok := strings.CutPrefix(rest, "["); ok {
		part, r, ok := cutInt(r)
		if !ok || part < 1 || part > maxParts || !strings.HasPrefix(r, "]: ") {
			l.Text = s
			return
		}
		l.ID, l.Part, l.Text, l.Kind = s[:n], int(part), r[3:], KindPart
		l.More = strings.HasSuffix(l.Text, " ...")
		return
	}
	if r, ok := strings.CutPrefix(rest, ": "); ok {
		l.ID, l.Text = s[:n], r
		return
	}
	l.Text = s
}

// idLen returns the length of the queue id that s begins with, or 0: eight base-60 characters for the time and a
// sequence number, then the process id, six digits or more. (Only shape matters: ids of other programs pass, too.)
func idLen(s string) int {
	if strings.HasPrefix(s, NoQueue) {
		return len(NoQueue)
	}
	i := 0
	for i < len(s) && (s[i] >= '0' && s[i] <= '9' || s[i] >= 'A' && s[i] <= 'Z' || s[i] >= 'a' && s[i] <= 'z') {
		i++
	}
	if i < 14 || i > 32 {
		return 0
	}
	for _, c := range []byte(s[8:i]) {
		if c < '0' || c > '9' {
			return 0
		}
	}
	return i
}

// joiner puts the pieces of long lines together. Lines of different processes may come in between.
type joiner struct{ open []*Line }

// maxOpen is how many unfinished long lines are kept; a log cut in the middle must not make them pile up.
const maxOpen = 1000

// add takes a piece and returns the whole line when it was the last.
func (j *joiner) add(l *Line) *Line {
	for i, o := range j.open {
		if o.ID != l.ID || o.PID != l.PID || o.Part+1 != l.Part {
			continue
		}
		o.Text = strings.TrimSuffix(o.Text, " ...") + l.Text
		o.Part, o.More = l.Part, l.More
		if o.More {
			return nil
		}
		j.open = append(j.open[:i], j.open[i+1:]...)
		o.Part, o.Kind = 0, ""
		return o
	}
	if l.Part == 1 && l.More && len(j.open) < maxOpen {
		j.open = append(j.open, l)
		return nil
	}
	return l
}

func (j *joiner) rest() []*Line { return j.open }

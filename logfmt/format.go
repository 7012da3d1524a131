package logfmt

import (
	"errors"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/mtakit/mtakit"
	"github.com/mtakit/mtakit/internal/lex"
)

// Severity is how urgent a line is, in the numbers of syslog.
type Severity uint8

// Severities that mail programs use.
const (
	Alert   Severity = 1
	Crit    Severity = 2
	Err     Severity = 3
	Warning Severity = 4
	Notice  Severity = 5
	Info    Severity = 6
	Debug   Severity = 7
)

// facilityMail is syslog's facility number for mail, in its place in a priority.
const facilityMail = 2 << 3

// NoQueue is the id of lines about no message in particular.
const NoQueue = "NOQUEUE"

// Options tunes a Formatter or Writer. The zero value is ready for use.
type Options struct {
	// Level is sendmail's LogLevel: the higher, the more is logged. Zero means 9; negative means nothing.
	Level int
	// Tag names the program. Empty means "sendmail".
	Tag string
	// Host is what stands between time and tag. Empty means the host name up to its first dot. It is not used in
	// syslog form.
	Host string
	// PID is the process id in the lines. Zero means that of this process.
	PID int
	// User is who SYSERR lines name. Empty means "root".
	User string
	// Location is the time zone of time stamps. Nil means local time.
	Location *time.Location
	// Syslog gives the form that goes to a syslog socket: <PRI> first, and no host.
	Syslog bool

	// Delay is how long a Writer may keep lines to write them together. Zero means 10 ms; negative means that
	// every line is written at once by the caller. A Formatter does not use it.
	Delay time.Duration
	// MaxPending is how many bytes may wait in a Writer; a caller that would exceed it waits. Zero means 1 MiB.
	MaxPending int
}

func (o *Options) defaults() Options {
	var d Options
	if o != nil {
		d = *o
	}
	if d.Level == 0 {
		d.Level = 9
	}
	if d.Tag == "" {
		d.Tag = "sendmail"
	}
	if d.Host == "" && !d.Syslog {
		d.Host, _ = os.Hostname()
		d.Host, _, _ = strings.Cut(d.Host, ".")
		if d.Host == "" {
			d.Host = "localhost"
		}
	}
	if d.PID == 0 {
		d.PID = os.Getpid()
	}
	if d.User == "" {
		d.User = "root"
	}
	if d.Location == nil {
		d.Location = time.Local
	}
	if d.Delay == 0 {
		d.Delay = 10 * time.Millisecond
	}
	if d.MaxPending == 0 {
		d.MaxPending = 1 << 20
	}
	return d
}

// Formatter turns events into the lines that sendmail logs for them. It is safe for concurrent use.
type Formatter struct {
	opts Options
	tail string // " host tag[pid]: "
	pool sync.Pool
}

// NewFormatter makes a Formatter. Nil options mean the zero value.
func NewFormatter(opts *Options) *Formatter {
	f := &Formatter{opts: opts.defaults()}
	host := ""
	if !f.opts.Syslog {
		host = " " + f.opts.Host
	}
	f.tail = host + " " + f.opts.Tag + "[" + strconv.Itoa(f.opts.PID) + "]: "
	f.pool.New = func() any { return new(scratch) }
	return f
}

// scratch is the memory that one call needs.
type scratch struct {
	dst, prefix   []byte // dst is the caller's
	id            string
	text, escaped []byte
	to            To
}

// emit appends the lines of one text.
func (s *scratch) emit(text []byte) {
	s.escaped = appendEscaped(s.escaped[:0], text)
	s.dst = appendParts(s.dst, s.prefix, s.id, s.escaped)
}

// Append appends the lines of an event to dst, each with '\n' at its end, and returns the result: nothing when the
// level is too low for it. A zero Time stands for now.
func (f *Formatter) Append(dst []byte, e *mtakit.Event) []byte {
	level, sev := rank(e)
	if f.opts.Level < level {
		return dst
	}
	id := e.ID
	if id == "" && !bare(e) {
		id = NoQueue
	}
	s := f.begin(dst, e.Time, sev, id)
	switch e.Kind {
	case mtakit.EventQueue, mtakit.EventDeliver, mtakit.EventDefer, mtakit.EventBounce:
		setTo(&s.to, e)
		s.to.emit(s)
		s.to.To = nil
	default:
		s.text = f.appendText(s.text[:0], e)
		s.emit(s.text)
	}
	return f.end(s)
}

// AppendRecord appends the lines of a free text, without looking at the level. An empty id gives lines without one.
func (f *Formatter) AppendRecord(dst []byte, at time.Time, sev Severity, id, text string) []byte {
	s := f.begin(dst, at, sev, id)
	s.text = append(s.text[:0], text...)
	s.emit(s.text)
	return f.end(s)
}

func (f *Formatter) begin(dst []byte, at time.Time, sev Severity, id string) *scratch {
	s := f.pool.Get().(*scratch)
	s.dst, s.id = dst, id
	s.prefix = f.appendPrefix(s.prefix[:0], at, sev)
	return s
}

func (f *Formatter) end(s *scratch) []byte {
	dst := s.dst
	s.dst = nil
	f.pool.Put(s)
	return dst
}

const months = "JanFebMarAprMayJunJulAugSepOctNovDec"

// appendPrefix appends what stands before the text: RFC 3164, with the day padded by a blank.
func (f *Formatter) appendPrefix(dst []byte, at time.Time, sev Severity) []byte {
	if at.IsZero() {
		at = time.Now()
	}
	if f.opts.Syslog {
		dst = append(dst, '<')
		dst = strconv.AppendInt(dst, int64(facilityMail)+int64(sev), 10)
		dst = append(dst, '>')
	}
	at = at.In(f.opts.Location)
	_, month, day := at.Date()
	hour, minute, sec := at.Clock()
	dst = append(dst, months[3*month-3:3*month]...)
	dst = append(dst, ' ')
	if day < 10 {
		dst = append(dst, ' ', '0'+byte(day))
	} else {
		dst = append2(dst, day)
	}
	dst = append(dst, ' ')
	dst = append2(dst, hour)
	dst = append(dst, ':')
	dst = append2(dst, minute)
	dst = append(dst, ':')
	dst = append2(dst, sec)
	return append(dst, f.tail...)
}

// rank gives the LogLevel from which on an event is logged, and its severity.
func rank(e *mtakit.Event) (level int, sev Severity) {
	switch e.Kind {
	case mtakit.EventConnect:
		switch {
		case connectOnly(e):
			return 10, Info
		case strings.HasPrefix(e.Text, "lost input channel"):
			return 2, Notice
		}
		return 6, Info
	case mtakit.EventReject:
		if strings.HasPrefix(e.Text, "Milter") {
			return 1, Info
		}
		return 4, Notice
	case mtakit.EventAccept:
		return 5, Info
	case mtakit.EventQueue, mtakit.EventDefer:
		return 9, Info
	case mtakit.EventDeliver:
		return 8, Info
	case mtakit.EventBounce:
		return 7, Info
	case mtakit.EventReport:
		if e.Text == "clone" {
			return 5, Info
		}
		return 6, Info
	case mtakit.EventQuarantine:
		return 0, Info
	case mtakit.EventDone:
		return 10, Info
	case mtakit.EventProblem:
		switch {
		case e.Err != nil:
			return 1, Crit
		case strings.HasPrefix(e.Text, "Losing "), strings.HasPrefix(e.Text, "bogus queue file"):
			return 1, Alert
		}
		return 1, Notice
	}
	return 10, Info
}

// connectOnly tells whether an event says no more than that a client connected.
func connectOnly(e *mtakit.Event) bool {
	return e.Kind == mtakit.EventConnect && (e.Text == "" || e.Text == "connect")
}

// bare tells whether an event without queue id is logged without "NOQUEUE: ", too.
func bare(e *mtakit.Event) bool {
	return e.Kind == mtakit.EventReject && isRuleset(e.Text) ||
		e.Kind == mtakit.EventConnect && (strings.HasPrefix(e.Text, "STARTTLS=") || strings.HasPrefix(e.Text, "AUTH="))
}

func isRuleset(s string) bool {
	return strings.HasPrefix(s, "check_") || strings.HasPrefix(s, "Local_check_") || strings.HasPrefix(s, "tls_")
}

// appendText appends the text of every kind of event that takes one line.
func (f *Formatter) appendText(dst []byte, e *mtakit.Event) []byte {
	switch e.Kind {
	case mtakit.EventConnect:
		if connectOnly(e) {
			return append(append(dst, "connect from "...), e.Client...)
		}
		return append(dst, e.Text...)
	case mtakit.EventAccept:
		from := From{Size: e.Size, Class: e.Class, NRcpts: e.NRcpts, MsgID: e.MsgID, BodyType: e.BodyType,
			Proto: e.Proto, Daemon: e.Daemon, Relay: e.Client}
		if from.From = e.From.Path(); e.Proto == "" && !e.From.IsNull() {
			from.From = from.From[1 : len(from.From)-1]
		}
		return from.AppendTo(dst)
	case mtakit.EventReject:
		return appendReject(dst, e)
	case mtakit.EventReport:
		dst = append(dst, e.NewID...)
		dst = append(dst, ": "...)
		dst = append(dst, e.Text...)
		dst = append(dst, ": "...)
		return lex.AppendShort(dst, stat(e), 203)
	case mtakit.EventQuarantine:
		return append(append(dst, "quarantine="...), e.Text...)
	case mtakit.EventDone:
		dst = append(dst, "done; delay="...)
		dst = appendDelay(dst, e.Delay)
		dst = append(dst, ", ntries="...)
		return strconv.AppendInt(dst, int64(e.Tries), 10)
	case mtakit.EventProblem:
		if e.Err == nil {
			return append(dst, e.Text...)
		}
		dst = append(dst, "SYSERR("...)
		dst = append(dst, f.opts.User...)
		dst = append(dst, "): "...)
		if e.Text != "" {
			dst = append(dst, e.Text...)
			dst = append(dst, ": "...)
		}
		return append(dst, e.Err.Error()...)
	}
	return append(dst, e.Text...)
}

// appendReject appends the text of a refusal: of a rule set, of a filter, or of an address.
func appendReject(dst []byte, e *mtakit.Event) []byte {
	arg := e.From.Path()
	if len(e.To) > 0 {
		arg = e.To[0]
	}
	switch {
	case isRuleset(e.Text):
		dst = append(dst, "ruleset="...)
		dst = append(dst, e.Text...)
		switch {
		case e.Text == "check_relay":
			host, addr := cutRelay(strings.TrimSuffix(e.Client, " (may be forged)"))
			if addr == "" && strings.HasPrefix(host, "[") {
				addr = host // without a name, the address is both
			}
			dst = append(dst, ", arg1="...)
			dst = append(dst, host...)
			if addr = strings.Trim(addr, " []"); addr != "" {
				dst = append(dst, ", arg2="...)
				dst = append(dst, addr...)
			}
		default:
			dst = append(dst, ", arg1="...)
			dst = append(dst, arg...)
		}
		dst = append(dst, ", relay="...)
		dst = append(dst, e.Client...)
		return appendVerdict(dst, e)
	case strings.HasPrefix(e.Text, "Milter"):
		dst = append(dst, "Milter: "...)
		switch what := strings.TrimPrefix(e.Text, "Milter "); what {
		case "data", "eoh", "eom":
			dst = append(dst, what...)
		case "from", "connect", "helo":
			dst = append(append(append(dst, what...), '='), arg...)
		default:
			dst = append(append(dst, "to="...), arg...)
		}
		return appendVerdict(dst, e)
	case e.Text != "":
		return append(dst, e.Text...)
	}
	if len(e.To) > 0 || !e.From.IsNull() {
		dst = append(dst, arg...)
		dst = append(dst, "... "...)
	}
	return append(dst, strings.TrimPrefix(errorText(e.Err), arg+"... ")...)
}

// appendVerdict appends ", reject=CODE STATUS TEXT", or ", discard" when there is no error.
func appendVerdict(dst []byte, e *mtakit.Event) []byte {
	if e.Err == nil {
		return append(dst, ", discard"...)
	}
	dst = append(dst, ", reject="...)
	me := verdict(e.Err)
	dst = strconv.AppendInt(dst, int64(me.ReplyCode()), 10)
	dst = append(dst, ' ')
	dst = append(dst, me.EnhancedStatus().String()...)
	dst = append(dst, ' ')
	return append(dst, me.Text...)
}

// verdict finds the *mtakit.Error in err, or makes a temporary one of it.
func verdict(err error) *mtakit.Error {
	var me *mtakit.Error
	if errors.As(err, &me) {
		return me
	}
	return &mtakit.Error{Text: err.Error()}
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	if text := verdict(err).Text; text != "" {
		return text
	}
	return err.Error()
}

// setTo fills t from an event about recipients.
func setTo(t *To, e *mtakit.Event) {
	*t = To{To: e.To, Control: e.Control.Origin, Delay: e.Delay, XDelay: e.XDelay, Mailer: e.Mailer, Priority: e.Priority,
		Relay: e.Relay, Stat: stat(e)}
	if e.Control.Alias && e.Mailer != mtakit.MailerProgram && e.Mailer != mtakit.MailerFile {
		t.Control = "" // sendmail names an alias only where its rights are used
	}
	t.HasIDs = t.Control != "" && (e.Control.User != "" || e.Control.UID != 0 || e.Control.GID != 0)
	t.UID, t.GID = e.Control.UID, e.Control.GID
	switch e.Status {
	case 0:
	case mtakit.StatusSuccess:
		t.DSN = "2.0.0" // the usual one, without making a string
	default:
		t.DSN = e.Status.String()
	}
	if e.Kind == mtakit.EventDefer || e.Kind == mtakit.EventBounce {
		t.Reply = e.Reply
	}
	if e.Kind == mtakit.EventQueue {
		t.XDelay = -1
	}
}

// stat gives the stat text of an event, making one where it has none.
func stat(e *mtakit.Event) string {
	if e.Stat != "" {
		return e.Stat
	}
	switch e.Kind {
	case mtakit.EventQueue:
		return "queued"
	case mtakit.EventDeliver:
		if e.Reply == "" {
			return "Sent"
		}
		if len(e.Reply) < 203 {
			return "Sent (" + e.Reply + ")"
		}
		return "Sent (" + string(lex.AppendShort(nil, e.Reply, 203)) + ")"
	case mtakit.EventDefer:
		switch {
		case e.Reply != "":
			return "Deferred: " + e.Reply
		case e.Err != nil:
			return "Deferred: " + errorText(e.Err)
		}
		return "Deferred"
	}
	if e.Err == nil {
		return "Service unavailable"
	}
	return errorText(e.Err)
}

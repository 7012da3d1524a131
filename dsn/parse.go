package dsn

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/mail"
	"strings"
	"time"

	"github.com/emersion/go-message"

	"github.com/mtakit/mtakit"
)

// Errors of Parse.
var (
	// ErrNotReport says that a message is something else than a delivery status notification.
	ErrNotReport = errors.New("message is no delivery status notification")
	// ErrTooBig says that a part is larger than ParseOptions allows.
	ErrTooBig = errors.New("part is too big")
	// ErrField says that a line of the report is no field.
	ErrField = errors.New("line is no field")
	// ErrNoRecipient says that a group of fields names no Final-Recipient.
	ErrNoRecipient = errors.New("no Final-Recipient in a group of fields")
)

// ParseOptions tunes Parse. The zero value is ready for use.
type ParseOptions struct {
	// MaxReport is the largest part for programs, in bytes. Zero means 1 MiB.
	MaxReport int64
	// MaxText is how much of the part for people is kept, in bytes; more is cut. Zero means 64 KiB.
	MaxText int64
	// MaxHeader is how much of the header of the original is kept, in bytes; more is cut. Zero means 256 KiB.
	MaxHeader int64
}

// Received is a notification that somebody else made.
type Received struct {
	Report
	From           string // who made it: the From field as it is
	Text           string // the part for people
	OriginalHeader []byte // header of the original as it is, cut at a line; nil when none came back
	Full           bool   // the original's body came back, too
}

// Original gives the parsed header of the original; nil when none came back, or it cannot be read.
func (r *Received) Original() mail.Header {
	if len(r.OriginalHeader) == 0 {
		return nil
	}
	m, err := mail.ReadMessage(io.MultiReader(bytes.NewReader(r.OriginalHeader), strings.NewReader("\r\n\r\n")))
	if err != nil {
		return nil
	}
	return m.Header
}

// maxDepth is how deep a report may be wrapped in other multiparts, as by mailing lists.
const maxDepth = 4

// Parse reads a delivery status notification: a multipart/report of RFC 3464 or RFC 6533. It returns ErrNotReport for another
// message. From a report with bad fields it returns what is good, and an error that joins a *mtakit.SyntaxError for every bad
// one, with the line in the part for programs; name appears in their positions only.
//
// Whether delivery failed is told by Action alone: a report of a delay, or of something unknown, never counts as a failure,
// whatever its status or subject is.
func Parse(r io.Reader, name string, opts *ParseOptions) (*Received, error) {
	var o ParseOptions
	if opts != nil {
		o = *opts
	}
	if o.MaxReport == 0 {
		o.MaxReport = 1 << 20
	}
	if o.MaxText == 0 {
		o.MaxText = 64 << 10
	}
	if o.MaxHeader == 0 {
		o.MaxHeader = 256 << 10
	}
	e, err := message.Read(r)
	if e == nil || !readable(err) {
		return nil, fmt.Errorf("%w: %w", ErrNotReport, err)
	}
	p := &parser{name: name, opts: o, out: &Received{From: e.Header.Get("From")}}
	if err := p.entity(e, 0); err != nil {
		return nil, err
	}
	if !p.found {
		return nil, ErrNotReport
	}
	return p.out, errors.Join(p.errs...)
}

// readable tells whether the MIME reader has given something to work with.
func readable(err error) bool {
	return err == nil || message.IsUnknownCharset(err) || message.IsUnknownEncoding(err)
}

type parser struct {
	name  string
	opts  ParseOptions
	out   *Received
	found bool    // the part for programs was there
	errs  []error // of single fields
}

// entity looks for the report in a message or part.
func (p *parser) entity(e *message.Entity, depth int) error {
	mr := e.MultipartReader()
	if mr == nil || depth > maxDepth {
		return nil
	}
	typ, params, err := e.Header.ContentType()
	isReport := strings.EqualFold(typ, "multipart/report")
	if kind := params["report-type"]; isReport && err == nil && kind != "" && !isStatusType(kind) {
		return nil // a receipt of a reader (RFC 8098), an abuse report, …
	}
	for first := true; ; first = false {
		part, err := mr.NextPart()
		if err == io.EOF {
			return nil
		}
		if part == nil || !readable(err) {
			if p.found {
				return nil // a report cut short has told what it has to tell
			}
			return fmt.Errorf("%w: %w", ErrNotReport, err)
		}
		if err := p.part(part, depth, isReport && first); err != nil {
			return err
		}
	}
}

func isStatusType(s string) bool {
	return strings.EqualFold(s, "delivery-status") || strings.EqualFold(s, "global-delivery-status")
}

// part takes what is of use from one part.
func (p *parser) part(e *message.Entity, depth int, forPeople bool) error {
	typ, _, err := e.Header.ContentType()
	if err != nil {
		typ, _, _ = strings.Cut(e.Header.Get("Content-Type"), ";")
		typ = strings.ToLower(strings.TrimSpace(typ))
	}
	switch typ {
	case "message/delivery-status", "message/global-delivery-status":
		if p.found {
			return nil
		}
		b, err := io.ReadAll(io.LimitReader(e.Body, p.opts.MaxReport+1))
		if int64(len(b)) > p.opts.MaxReport {
			return fmt.Errorf("delivery status: %w", ErrTooBig)
		}
		if err != nil && len(b) == 0 {
			return fmt.Errorf("delivery status: %w", err)
		}
		p.found = true
		p.fields(b)
	case "message/rfc822", "message/global", "text/rfc822-headers", "message/global-headers":
		if !p.found || p.out.OriginalHeader != nil {
			return nil
		}
		p.out.OriginalHeader, _ = io.ReadAll(newHeaderReader(e.Body, p.opts.MaxHeader))
		p.out.Full = typ == "message/rfc822" || typ == "message/global"
	default:
		if strings.HasPrefix(typ, "multipart/") {
			return p.entity(e, depth+1)
		}
		if forPeople && (typ == "" || strings.HasPrefix(typ, "text/")) {
			b, _ := io.ReadAll(io.LimitReader(e.Body, p.opts.MaxText))
			p.out.Text = string(b)
		}
	}
	return nil
}

// field is one unfolded field.
type field struct {
	name, value string
	pos         mtakit.Position
}

// fields reads the part for programs: groups of fields apart by empty lines, the first about the message, the others about one
// recipient each.
func (p *parser) fields(b []byte) {
	var group []field
	groups := 0
	end := func() {
		if len(group) == 0 {
			return
		}
		if groups++; groups == 1 && !hasRecipient(group) {
			p.message(group)
		} else {
			p.recipient(group)
		}
		group = nil
	}
	n := 0
	for line := range strings.Lines(string(b)) {
		n++
		line = strings.TrimRight(line, "\r\n")
		pos := mtakit.Position{File: p.name, Line: n, Col: 1}
		switch {
		case strings.TrimSpace(line) == "":
			end()
		case line[0] == ' ' || line[0] == '\t':
			if len(group) == 0 {
				p.bad(pos, fmt.Errorf("%w: continues nothing", ErrField))
				continue
			}
			group[len(group)-1].value += " " + strings.TrimSpace(line)
		default:
			name, value, ok := strings.Cut(line, ":")
			if name = strings.TrimRight(name, " \t"); !ok || !isFieldName(name) {
				p.bad(pos, fmt.Errorf("%w: no name and colon", ErrField))
				continue
			}
			group = append(group, field{name, strings.TrimSpace(value), pos})
		}
	}
	end()
}

func isFieldName(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] <= ' ' || s[i] >= 0x7f {
			return false
		}
	}
	return s != ""
}

// hasRecipient tells whether a group is about a recipient; some systems leave out the group about the message.
func hasRecipient(group []field) bool {
	for _, f := range group {
		if strings.EqualFold(f.name, "Final-Recipient") {
			return true
		}
	}
	return false
}

// maxErrors is how many bad fields are reported: a report may be nothing but bad lines.
const maxErrors = 20

func (p *parser) bad(pos mtakit.Position, err error) {
	if len(p.errs) < maxErrors {
		p.errs = append(p.errs, &mtakit.SyntaxError{Pos: pos, Err: err})
	}
}

func (p *parser) message(group []field) {
	r := &p.out.Report
	for _, f := range group {
		switch strings.ToLower(f.name) {
		case "reporting-mta":
			_, r.ReportingMTA = cutType(f.value)
		case "received-from-mta":
			_, r.ReceivedFrom = cutType(f.value)
		case "original-envelope-id":
			r.EnvID = f.value
		case "arrival-date":
			r.Arrived = p.date(f)
		default:
			r.Fields = append(r.Fields, Field{f.name, f.value})
		}
	}
}

func (p *parser) recipient(group []field) {
	rc := Recipient{}
	for _, f := range group {
		switch strings.ToLower(f.name) {
		case "original-recipient":
			rc.Original = typed(f.value)
		case "final-recipient":
			rc.Final = typed(f.value)
		case "x-actual-recipient":
			rc.Actual = typed(f.value)
		case "action":
			if rc.Action = ParseAction(strings.TrimSpace(stripComments(f.value))); rc.Action == 0 {
				p.bad(f.pos, fmt.Errorf("unknown action %q", f.value))
			}
		case "status":
			rc.Status = p.status(f)
		case "remote-mta":
			_, rc.RemoteMTA = cutType(f.value)
		case "diagnostic-code":
			typ, text := cutType(f.value)
			if rc.Diagnostic = text; typ != "" && !strings.EqualFold(typ, "smtp") && !strings.EqualFold(typ, "x-local") {
				rc.Diagnostic = typ + "; " + text
			}
		case "last-attempt-date":
			rc.LastAttempt = p.date(f)
		case "will-retry-until":
			rc.RetryUntil = p.date(f)
		default:
			rc.Fields = append(rc.Fields, Field{f.name, f.value})
		}
	}
	if rc.Final == "" {
		if rc.Original == "" {
			p.bad(group[0].pos, ErrNoRecipient)
			return
		}
		rc.Final = rc.Original
	}
	p.out.Recipients = append(p.out.Recipients, rc)
}

// status reads a status, behind which some systems put a comment or text.
func (p *parser) status(f field) mtakit.Status {
	text := strings.TrimSpace(stripComments(f.value))
	if word, _, ok := strings.Cut(text, " "); ok {
		text = word
	}
	s, err := mtakit.ParseStatus(text)
	if err != nil {
		p.bad(f.pos, err)
	}
	return s
}

func (p *parser) date(f field) time.Time {
	t, err := mail.ParseDate(f.value)
	if err != nil {
		p.bad(f.pos, fmt.Errorf("date %q cannot be read", f.value))
		return time.Time{}
	}
	return t
}

// typed brings an address into the form "rfc822;ann@example.org". Without a type it is one of mail.
func typed(s string) string {
	typ, addr := cutType(s)
	if typ == "" {
		typ = "rfc822"
	}
	typ = strings.ToLower(typ)
	if typ == "utf-8" {
		if plain, err := decodeUTF8(addr); err == nil {
			addr = plain
		}
	}
	return typ + ";" + addr
}

// stripComments takes (comments) away (RFC 5322 section 3.2.2).
func stripComments(s string) string {
	if strings.IndexByte(s, '(') < 0 {
		return s
	}
	var b strings.Builder
	depth := 0
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '\\' && depth > 0:
			i++
		case c == '(':
			depth++
		case c == ')' && depth > 0:
			depth--
		case depth == 0:
			b.WriteByte(c)
		}
	}
	return b.String()
}

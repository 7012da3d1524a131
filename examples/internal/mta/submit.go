package mta

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/mtakit/mtakit"
	"github.com/mtakit/mtakit/queue"
)

// Submission is a message from a program on this machine, as sendmail(1) takes it on standard input.
type Submission struct {
	User       string // login name of the caller
	Sender     string // envelope sender; empty means User
	FullName   string // for a From field that is made here
	Rcpts      []string
	FromHeader bool // recipients are those in To, Cc and Bcc; Rcpts are then taken away from them
	IgnoreDots bool // a line with a single dot does not end the message
	BodyType   string
	Notify     mtakit.Notify
	Ret, EnvID string
	QueueOnly  bool
	Input      io.Reader
}

// ErrNoRecipients is returned when a submission names nobody.
var ErrNoRecipients = errors.New("No recipient addresses found in header") //lint:ignore ST1005 sendmail's text

// RcptError is what is wrong with one recipient of a submission.
type RcptError struct {
	Rcpt string
	Err  error
}

// Error prints the line that sendmail prints: "ann... User unknown".
func (e *RcptError) Error() string { return e.Rcpt + "... " + textOf(e.Err) }

// Unwrap returns the verdict.
func (e *RcptError) Unwrap() error { return e.Err }

// Submit reads a message, completes its header (RFC 6409 section 8: Date, From, Message-ID), and takes
// responsibility for it as for one that came by SMTP. Bad recipients are in the joined error, each a *RcptError, and do
// not keep the others from getting it. The id is empty when nobody was left.
func (m *MTA) Submit(ctx context.Context, s *Submission) (queue.ID, error) {
	header, body, err := readLocal(s.Input, s.IgnoreDots, m.cfg.MaxMessageBytes)
	if err != nil {
		return "", err
	}
	rcpts := s.Rcpts
	if s.FromHeader {
		if rcpts = headerRecipients(header, s.Rcpts); len(rcpts) == 0 {
			return "", ErrNoRecipients
		}
		header = removeField(removeField(header, "Bcc"), "Resent-Bcc")
	}
	sender := s.Sender
	if sender == "" {
		sender = s.User
	}
	from, _, err := mtakit.ParsePath(sender)
	if err != nil {
		return "", &RcptError{sender, err}
	}
	if from.Domain == "" && !from.IsNull() {
		from.Domain = m.originDomain()
	}
	now := time.Now()
	sub := &submission{
		from: from, fromText: from.Path(), tables: m.tables.Generation().Number, header: m.completeHeader(header, from, s.FullName, now),
		body: func() io.Reader { return bytes.NewReader(body) }, memory: body, inMemory: true, bodySize: int64(len(body)),
		bodyType: s.BodyType, ret: s.Ret, envID: s.EnvID, client: s.User + "@localhost", queueOnly: s.QueueOnly,
	}
	for _, c := range body {
		sub.eightBit = sub.eightBit || c >= 0x80
	}
	var errs []error
	for _, text := range rcpts {
		res, err := m.resolver.ResolveText(ctx, from, text)
		if err != nil {
			return "", err
		}
		m.warn(res)
		if err := res.Err(); err != nil {
			errs = append(errs, &RcptError{text, err})
			continue
		}
		sub.rcpts = append(sub.rcpts, submittedRcpt{text: text, notify: s.Notify, res: res})
	}
	if len(sub.rcpts) == 0 {
		return "", errors.Join(errs...)
	}
	id, err := m.accept(ctx, sub)
	return id, errors.Join(append(errs, err)...)
}

// originDomain is what names without a domain on this machine belong to.
func (m *MTA) originDomain() string {
	if len(m.cfg.Domains) > 0 {
		return m.cfg.Domains[0]
	}
	return m.cfg.Hostname
}

// readLocal reads a message with LF or CR LF line ends, up to the end of input or, unless ignoreDots, a line with a
// single dot.
func readLocal(r io.Reader, ignoreDots bool, limit int64) (header, body []byte, err error) {
	br := bufio.NewReaderSize(r, 64<<10)
	var text []byte
	start := 0 // of the line at hand
	for {
		part, err := br.ReadSlice('\n') // of a line: they may be long, and memory is not for a line without end
		if err != nil && err != io.EOF && err != bufio.ErrBufferFull {
			return nil, nil, fmt.Errorf("reading the message: %w", err)
		}
		text = append(text, part...)
		if int64(len(text)) > limit+2 { // a final CR LF may yet become LF
			return nil, nil, tooBig(limit)
		}
		if err == bufio.ErrBufferFull {
			continue
		}
		line := text[start:]
		if n := len(line); n >= 2 && line[n-2] == '\r' && line[n-1] == '\n' {
			line[n-2] = '\n'
			line, text = line[:n-1], text[:len(text)-1]
		}
		if !ignoreDots && (string(line) == ".\n" || string(line) == ".") {
			text = text[:start]
			break
		}
		if err == io.EOF {
			if len(line) > 0 { // the last line has no end: give it one, as sendmail does
				text = append(text, '\n')
			}
			break
		}
		start = len(text)
	}
	if int64(len(text)) > limit {
		return nil, nil, tooBig(limit)
	}
	var split queue.HeaderSplitter
	var out bytes.Buffer
	split.Body = &out
	if _, err := split.Write(text); err != nil {
		return nil, nil, err
	}
	if err := split.Close(); err != nil {
		return nil, nil, err
	}
	return split.Header(), out.Bytes(), nil
}

func tooBig(limit int64) error {
	return &mtakit.Error{Code: 552, Status: mtakit.StatusMailboxTooBig, Text: fmt.Sprintf("Message exceeds maximum fixed size (%d)", limit)}
}

// completeHeader adds what a submitted message must have and may lack.
func (m *MTA) completeHeader(header []byte, from mtakit.Address, fullName string, now time.Time) []byte {
	var add []byte
	field := func(name, value string) { add = append(add, name+": "+value+"\n"...) }
	if headerValue(header, "Date") == "" {
		field("Date", now.Format(time.RFC1123Z))
	}
	if headerValue(header, "From") == "" {
		if fullName != "" {
			field("From", quotePhrase(fullName)+" "+from.Path())
		} else {
			field("From", from.String())
		}
	}
	if headerValue(header, "Message-ID") == "" {
		field("Message-Id", fmt.Sprintf("<%s.%s@%s>", now.UTC().Format("200601021504"), queue.NewID(), m.cfg.Hostname))
	}
	return append(add, header...)
}

// quotePhrase makes a display name of any text (RFC 5322 section 3.2.5).
func quotePhrase(s string) string {
	for _, r := range s {
		if r != ' ' && !strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789!#$%&'*+-/=?^_`{|}~", r) {
			return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", " ", "\r", " ", "\x00", " ").Replace(s) + `"`
		}
	}
	return s
}

// headerRecipients lists the addresses in To, Cc and Bcc, or of a message that is sent again, with any Resent- field in
// it, those in Resent-To, Resent-Cc and Resent-Bcc. Those in except are left out (sendmail -t: its arguments).
func headerRecipients(header []byte, except []string) []string {
	skip := map[string]bool{}
	for _, e := range except {
		skip[strings.ToLower(inside(e))] = true
	}
	prefix := ""
	for name := range fields(header) {
		if len(name) > len("resent-") && strings.EqualFold(name[:len("resent-")], "resent-") {
			prefix = "resent-"
			break
		}
	}
	var rcpts []string
	for name, value := range fields(header) {
		if kind, ok := strings.CutPrefix(strings.ToLower(name), prefix); !ok || kind != "to" && kind != "cc" && kind != "bcc" {
			continue
		}
		for _, member := range mtakit.ParseList(value, mtakit.Position{}) {
			text := member.Text
			if mb, ok := member.To.(mtakit.Mailbox); ok {
				text = mb.Addr.String()
			}
			if !skip[strings.ToLower(text)] {
				rcpts = append(rcpts, text)
			}
		}
	}
	return rcpts
}

// fields yields the header fields with their values unfolded.
func fields(header []byte) func(yield func(name, value string) bool) {
	return func(yield func(name, value string) bool) {
		var name, value string
		for line := range bytes.Lines(header) {
			text := strings.TrimRight(string(line), "\n")
			if text != "" && (text[0] == ' ' || text[0] == '\t') {
				value += text
				continue
			}
			if name != "" && !yield(name, strings.TrimSpace(value)) {
				return
			}
			name, value, _ = strings.Cut(text, ":")
			name = strings.TrimRight(name, " \t")
		}
		if name != "" {
			yield(name, strings.TrimSpace(value))
		}
	}
}

// removeField takes all fields of a name out of a header.
func removeField(header []byte, name string) []byte {
	var out []byte
	drop := false
	for line := range bytes.Lines(header) {
		if line[0] != ' ' && line[0] != '\t' {
			n, _, _ := bytes.Cut(line, []byte(":"))
			drop = strings.EqualFold(strings.TrimRight(string(n), " \t"), name)
		}
		if !drop {
			out = append(out, line...)
		}
	}
	return out
}

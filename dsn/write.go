package dsn

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"time"

	"github.com/emersion/go-message/textproto"

	"github.com/mtakit/mtakit"
)

// dateForm is the form of dates in headers and reports (RFC 5322 section 3.3).
const dateForm = "Mon, 2 Jan 2006 15:04:05 -0700"

// WriteTo writes the whole message, with LF line ends: header, empty line, body. The original is copied as it is read, not held
// in memory. See WriteHeader and WriteBody for a queue that keeps them apart.
func (m *Message) WriteTo(w io.Writer) (int64, error) {
	return m.WriteToContext(context.Background(), w)
}

// WriteToContext is WriteTo with a context for opening the original.
func (m *Message) WriteToContext(ctx context.Context, w io.Writer) (int64, error) {
	cw := &countingWriter{w: w}
	if err := m.WriteHeader(ctx, cw); err != nil {
		return cw.n, err
	}
	if _, err := io.WriteString(cw, "\n"); err != nil {
		return cw.n, err
	}
	err := m.WriteBody(ctx, cw)
	return cw.n, err
}

type countingWriter struct {
	w io.Writer
	n int64
}

func (c *countingWriter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}

// NewReader gives the whole message as a stream. A goroutine makes it while it is read; it ends when the message was read to its
// end, when ctx ends, or when the reader is closed.
func (m *Message) NewReader(ctx context.Context) io.ReadCloser {
	pr, pw := io.Pipe()
	stop := context.AfterFunc(ctx, func() { pw.CloseWithError(ctx.Err()) })
	go func() {
		defer stop()
		_, err := m.WriteToContext(ctx, pw)
		pw.CloseWithError(err) // nil means io.EOF
	}()
	return pr
}

// WriteHeader writes the header without the empty line behind it, with LF line ends. It may have to read the original once, to
// see whether it has 8-bit data.
func (m *Message) WriteHeader(ctx context.Context, w io.Writer) error {
	if m.To.IsNull() {
		return ErrNullRecipient
	}
	body, err := m.BodyType(ctx)
	if err != nil {
		return err
	}
	auto := "return-receipt"
	switch {
	case m.double:
		auto = "postmaster-notification"
	case m.has(Failed):
		auto = "failure"
	case m.has(Delayed):
		auto = "warning-timeout"
	}
	date := m.opts.Date
	fields := []Field{
		{"Received", fmt.Sprintf("from localhost (localhost)\n\tby %s (mtakit) id %s;\n\t%s", m.opts.Host, m.opts.ID, date.Format(dateForm))},
		{"Date", date.Format(dateForm)},
		{"From", "Mail Delivery Subsystem <MAILER-DAEMON@" + m.opts.Host + ">"},
		{"Message-Id", fmt.Sprintf("<%s.%s@%s>", date.UTC().Format("200601021504"), m.opts.ID, m.opts.Host)},
		{"To", m.To.Path()},
		{"MIME-Version", "1.0"},
		{"Content-Type", fmt.Sprintf("multipart/report; report-type=%s;\n\tboundary=%q", m.mediaType("delivery-status", "global-delivery-status"), m.boundary)},
		{"Subject", m.Subject()},
		{"Auto-Submitted", "auto-generated (" + auto + ")"},
	}
	if body == "8BITMIME" {
		fields = append(fields, Field{"Content-Transfer-Encoding", "8bit"})
	}
	var b bytes.Buffer
	for _, f := range fields {
		value := f.Value
		if f.Name != "Received" && f.Name != "Content-Type" { // those two are folded already, and hold nothing from outside
			value = m.oneLine(value)
		}
		fmt.Fprintf(&b, "%s: %s\n", f.Name, value)
	}
	_, err = w.Write(b.Bytes())
	return err
}

// mediaType chooses between the types of RFC 3464 and RFC 6533.
func (m *Message) mediaType(ascii, global string) string {
	if m.Original.SMTPUTF8 {
		return global
	}
	return ascii
}

// WriteBody writes the body, with LF line ends: a part for people, one for programs, and the original or its header.
func (m *Message) WriteBody(ctx context.Context, w io.Writer) error {
	original, missing, err := m.open(ctx)
	if err != nil {
		return err
	}
	if original != nil {
		defer original.Close()
	}
	eight := false
	if original != nil {
		body, err := m.BodyType(ctx)
		if err != nil {
			return err
		}
		eight = body == "8BITMIME"
	}
	out := &lfWriter{w: bufio.NewWriterSize(w, 32<<10)}
	io.WriteString(out, "This is a MIME message; the parts below are a text, a report for programs, and the mail in question.\r\n\r\n")
	mw := textproto.NewMultipartWriter(out)
	if err := mw.SetBoundary(m.boundary); err != nil {
		return err
	}
	part := func(contentType string, eight bool) (io.Writer, error) {
		var h textproto.Header
		if eight {
			h.Add("Content-Transfer-Encoding", "8bit")
		}
		if contentType != "" {
			h.Add("Content-Type", contentType)
		}
		return mw.CreatePart(h)
	}

	text := m.text(missing)
	charset := "us-ascii"
	if !isASCII(text) {
		charset = "utf-8"
	}
	p, err := part("text/plain; charset="+charset, charset != "us-ascii")
	if err != nil {
		return err
	}
	io.WriteString(p, text)
	if p, err = part("message/"+m.mediaType("delivery-status", "global-delivery-status"), m.Original.SMTPUTF8); err != nil {
		return err
	}
	io.WriteString(p, m.fields())
	if original != nil {
		types := [2]string{"message/rfc822", "message/global"}
		if m.HeadersOnly() {
			types = [2]string{"text/rfc822-headers", "message/global-headers"}
		}
		if _, err = part(m.mediaType(types[0], types[1]), eight); err != nil {
			return err
		}
		// Past the part's writer, which hands everything on to out anyway: out must know that this is copied.
		if err := m.copyOriginal(out, original); err != nil {
			return err
		}
	}
	if err := mw.Close(); err != nil {
		return err
	}
	return out.flush()
}

// open opens the original; missing tells that there should be one and is not.
func (m *Message) open(ctx context.Context) (r io.ReadCloser, missing bool, err error) {
	if m.Original.Open == nil {
		return nil, false, nil
	}
	r, err = m.Original.Open(ctx)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, true, nil
	}
	return r, false, err
}

// copyOriginal writes the original or its header unchanged.
func (m *Message) copyOriginal(out *lfWriter, r io.Reader) error {
	out.raw = true
	defer func() { out.raw = false }()
	if !m.HeadersOnly() {
		_, err := io.Copy(out, r)
		return err
	}
	h := newHeaderReader(r, m.opts.MaxHeader)
	_, err := io.Copy(out, h)
	return err
}

// scan looks for 8-bit data in what the report returns of the original.
func (m *Message) scan(ctx context.Context) (bool, error) {
	r, _, err := m.open(ctx)
	if err != nil || r == nil {
		return false, err
	}
	defer r.Close()
	var in io.Reader = r
	if m.HeadersOnly() {
		in = newHeaderReader(r, m.opts.MaxHeader)
	}
	buf := make([]byte, 32<<10)
	for {
		n, err := in.Read(buf)
		for _, c := range buf[:n] {
			if c >= 0x80 {
				return true, nil
			}
		}
		if err == io.EOF {
			return false, nil
		}
		if err != nil {
			return false, err
		}
	}
}

// headerReader yields a message's header, up to and without the empty line, and only whole lines of at most size bytes
// together.
type headerReader struct {
	br   *bufio.Reader
	left int64
	line []byte
	err  error
}

func newHeaderReader(r io.Reader, size int64) *headerReader {
	return &headerReader{br: bufio.NewReader(r), left: size}
}

func (h *headerReader) Read(p []byte) (int, error) {
	for len(h.line) == 0 {
		if h.err != nil {
			return 0, h.err
		}
		h.line, h.err = h.next()
	}
	n := copy(p, h.line)
	h.line = h.line[n:]
	return n, nil
}

func (h *headerReader) next() ([]byte, error) {
	var line []byte
	for {
		piece, err := h.br.ReadSlice('\n')
		if int64(len(line)+len(piece)) > h.left {
			return nil, io.EOF
		}
		line = append(line, piece...)
		if err == bufio.ErrBufferFull {
			continue
		}
		if len(bytes.TrimRight(line, "\r\n")) == 0 && err == nil {
			return nil, io.EOF
		}
		h.left -= int64(len(line))
		return line, err
	}
}

// lfWriter drops the CR of CRLF, which the MIME writer makes, except in raw mode, for text that is copied.
type lfWriter struct {
	w   *bufio.Writer
	cr  bool // a CR is held back
	raw bool
	err error
}

func (l *lfWriter) Write(p []byte) (int, error) {
	if l.raw {
		l.hold()
		if _, err := l.w.Write(p); err != nil && l.err == nil {
			l.err = err
		}
		return len(p), l.err
	}
	for _, c := range p {
		if l.cr && c != '\n' {
			l.hold()
		}
		if l.cr = c == '\r'; !l.cr {
			if err := l.w.WriteByte(c); err != nil && l.err == nil {
				l.err = err
			}
		}
	}
	return len(p), l.err
}

// hold writes a CR that was held back.
func (l *lfWriter) hold() {
	if l.cr {
		l.cr = false
		if err := l.w.WriteByte('\r'); err != nil && l.err == nil {
			l.err = err
		}
	}
}

func (l *lfWriter) flush() error {
	l.hold()
	if err := l.w.Flush(); err != nil && l.err == nil {
		l.err = err
	}
	return l.err
}

// fields makes the part for programs.
func (m *Message) fields() string {
	var b strings.Builder
	add := func(name, value string) {
		if value != "" {
			b.WriteString(fold(name + ": " + m.oneLine(value)))
			b.WriteByte('\n')
		}
	}
	date := func(name string, t time.Time) {
		if !t.IsZero() {
			add(name, t.Format(dateForm))
		}
	}
	dns := func(name, host string) {
		if host != "" {
			add(name, "dns; "+host)
		}
	}
	add("Original-Envelope-Id", m.EnvID)
	dns("Reporting-MTA", m.ReportingMTA)
	dns("Received-From-MTA", m.ReceivedFrom)
	date("Arrival-Date", m.Arrived)
	for _, f := range m.Fields {
		add(f.Name, f.Value)
	}
	for i := range m.Recipients {
		r := &m.Recipients[i]
		b.WriteByte('\n')
		add("Original-Recipient", m.typed(r.Original))
		add("Final-Recipient", m.typed(r.Final))
		add("X-Actual-Recipient", m.typed(r.Actual))
		add("Action", r.Action.String())
		status := r.Status
		if status == 0 || !agrees(r.Action, status) {
			status = defaultStatus(r.Action, status)
		}
		add("Status", status.String())
		dns("Remote-MTA", strings.TrimSuffix(r.RemoteMTA, "."))
		add("Diagnostic-Code", r.diagnostic())
		date("Last-Attempt-Date", r.LastAttempt)
		if r.Action == Delayed {
			date("Will-Retry-Until", r.RetryUntil)
		}
		for _, f := range r.Fields {
			add(f.Name, f.Value)
		}
	}
	return b.String()
}

// agrees tells whether the class of a status fits the action. A failure may have a temporary status: it was tried for too long.
func agrees(a Action, s mtakit.Status) bool {
	switch a {
	case Failed:
		return s.Class() != mtakit.ClassSuccess
	case Delayed:
		return s.Class() == mtakit.ClassTemporary
	}
	return s.Class() == mtakit.ClassSuccess
}

// defaultStatus moves a status into the class that fits the action.
func defaultStatus(a Action, s mtakit.Status) mtakit.Status {
	switch a {
	case Failed:
		return s.AsPermanent()
	case Delayed:
		return s.AsTemporary()
	}
	return s.AsSuccess()
}

// diagnostic is Diagnostic with its type: smtp for a reply, which begins with its code.
func (r *Recipient) diagnostic() string {
	d := r.Diagnostic
	switch {
	case d == "":
		return ""
	case len(d) >= 3 && d[0] >= '2' && d[0] <= '5' && d[1] >= '0' && d[1] <= '9' && d[2] >= '0' && d[2] <= '9' && (len(d) == 3 || d[3] == ' ' || d[3] == '-'):
		return "smtp; " + d
	}
	if typ, _, ok := strings.Cut(d, ";"); ok && isAtom(typ) {
		return d // it has a type of its own
	}
	return "x-local; " + d
}

func isAtom(s string) bool {
	for i := 0; i < len(s); i++ {
		if c := s[i]; c <= ' ' || c >= 0x7f || strings.IndexByte(`()<>[]:;@\,."`, c) >= 0 {
			return false
		}
	}
	return s != ""
}

// typed gives "type;address" with a blank, and with characters that are not ASCII written out where the report must be ASCII.
func (m *Message) typed(s string) string {
	if s == "" {
		return ""
	}
	typ, addr := cutType(s)
	if typ == "" {
		typ = "rfc822"
	}
	if strings.EqualFold(typ, "utf-8") && !m.Original.SMTPUTF8 {
		addr = encodeUTF8(addr)
	}
	return typ + "; " + addr
}

// oneLine makes a value fit for a header field: line breaks and other control characters become blanks, and bytes that are not
// ASCII question marks, unless the report may hold UTF-8.
func (m *Message) oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r < ' ' || r == 0x7f:
			return ' '
		case r >= 0x80 && (!m.Original.SMTPUTF8 || r == 0xfffd):
			return '?'
		}
		return r
	}, s)
}

// lineLimit is the longest line of a header (RFC 5322 section 2.1.1).
const lineLimit = 998

// fold breaks a field that is too long for a line, at blanks where there are any.
func fold(s string) string {
	if len(s) <= lineLimit {
		return s
	}
	var b strings.Builder
	for len(s) > lineLimit {
		i := strings.LastIndexByte(s[:lineLimit], ' ')
		if i < lineLimit/2 {
			i = lineLimit - 4 // nothing to break at; keep clear of half a character
			for i > 0 && s[i]&0xc0 == 0x80 {
				i--
			}
		}
		b.WriteString(s[:i])
		b.WriteString("\n ")
		s = strings.TrimLeft(s[i:], " ")
	}
	b.WriteString(s)
	return b.String()
}

package mailtest

import (
	"encoding/base64"
	"fmt"
	"iter"
	"math/rand/v2"
	"mime"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// Mail describes a message to build. The zero value is a message with a date, a Message-ID and an empty body.
type Mail struct {
	From, To, Subject string    // header fields; left out when empty. Text outside ASCII is encoded (RFC 2047) unless UTF8
	Date              time.Time // zero means 2026-01-02 03:04:05 UTC
	ID                string    // Message-ID without angle brackets; "" makes one from the other fields
	Header            []string  // further fields, "Name: value", after the others
	Text              string    // the body; a second part is made of HTML, and further ones of Parts
	HTML              string
	Parts             []Part // attachments
	UTF8              bool   // header fields as they are (RFC 6532), not encoded
}

// Part is an attachment. Message types other than message/rfc822 and text are sent in base64.
type Part struct {
	Type string // "application/pdf"; "" means application/octet-stream
	Name string // file name, may be ""
	Data []byte
}

// String builds the message with LF line ends. The same Mail always gives the same bytes.
func (m Mail) String() string {
	var b strings.Builder
	field := func(name, value string) {
		if value == "" {
			return
		}
		if !m.UTF8 {
			value = encodeHeader(value)
		}
		b.WriteString(name + ": " + value + "\n")
	}
	field("From", m.From)
	field("To", m.To)
	field("Subject", m.Subject)
	date := m.Date
	if date.IsZero() {
		date = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	}
	field("Date", date.Format("Mon, 02 Jan 2006 15:04:05 -0700"))
	id := m.ID
	if id == "" {
		id = fmt.Sprintf("%016x@mailtest.example", hash(m.From+"\x00"+m.To+"\x00"+m.Subject+"\x00"+m.Text))
	}
	field("Message-ID", "<"+id+">")
	for _, h := range m.Header {
		b.WriteString(h + "\n")
	}
	m.body(&b)
	return b.String()
}

// body writes the MIME fields, the empty line and the body.
func (m Mail) body(b *strings.Builder) {
	text := entity{"text/plain; charset=utf-8", "", withNewline(m.Text)}
	if m.HTML == "" && len(m.Parts) == 0 {
		if isASCII(m.Text) {
			b.WriteString("\n" + withNewline(m.Text))
			return
		}
		b.WriteString("MIME-Version: 1.0\n")
		text.write(b)
		return
	}
	b.WriteString("MIME-Version: 1.0\n")
	root := text
	if m.HTML != "" {
		root = multipart("alternative", m.Subject, text, entity{"text/html; charset=utf-8", "", withNewline(m.HTML)})
	}
	if len(m.Parts) > 0 {
		list := []entity{root}
		for _, p := range m.Parts {
			list = append(list, p.entity())
		}
		root = multipart("mixed", m.Subject, list...)
	}
	root.write(b)
}

// entity is a MIME body part (RFC 2045): its type, further fields and its encoded body.
type entity struct{ ctype, fields, body string }

func (e entity) write(b *strings.Builder) {
	b.WriteString("Content-Type: " + e.ctype + "\n" + e.fields)
	if !isASCII(e.body) {
		b.WriteString("Content-Transfer-Encoding: 8bit\n")
	}
	b.WriteString("\n" + e.body)
}

func (p Part) entity() entity {
	e := entity{ctype: p.Type}
	if e.ctype == "" {
		e.ctype = "application/octet-stream"
	}
	if p.Name != "" {
		e.fields = "Content-Disposition: attachment;\n\t" +
			strings.TrimPrefix(mime.FormatMediaType("x", map[string]string{"filename": p.Name}), "x; ") + "\n"
	}
	if strings.HasPrefix(e.ctype, "text/") || strings.HasPrefix(e.ctype, "message/") {
		e.body = withNewline(string(p.Data))
		return e
	}
	e.fields += "Content-Transfer-Encoding: base64\n"
	e.body = base64Lines(p.Data)
	return e
}

func base64Lines(data []byte) string {
	s := base64.StdEncoding.EncodeToString(data)
	var b strings.Builder
	for chunk := range slices.Chunk([]byte(s), 76) {
		b.Write(chunk)
		b.WriteByte('\n')
	}
	return b.String()
}

func multipart(kind, salt string, parts ...entity) entity {
	boundary := fmt.Sprintf("=_%s_%08x", kind, uint32(hash(salt+kind)))
	var b strings.Builder
	for _, p := range parts {
		b.WriteString("--" + boundary + "\n")
		p.write(&b)
	}
	b.WriteString("--" + boundary + "--\n")
	return entity{ctype: "multipart/" + kind + "; boundary=\"" + boundary + "\"", body: b.String()}
}

// encodeHeader encodes the words of an unstructured or address field that are not ASCII.
func encodeHeader(s string) string {
	if isASCII(s) {
		return s
	}
	name, rest, isAddr := strings.Cut(s, " <")
	if isAddr {
		return mime.QEncoding.Encode("utf-8", name) + " <" + rest
	}
	return mime.QEncoding.Encode("utf-8", s)
}

func withNewline(s string) string {
	if s != "" && !strings.HasSuffix(s, "\n") {
		s += "\n"
	}
	return s
}

func isASCII(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return r >= utf8.RuneSelf }) < 0 && utf8.ValidString(s)
}

func hash(s string) uint64 { // FNV-1a
	h := uint64(14695981039346656037)
	for i := 0; i < len(s); i++ {
		h = (h ^ uint64(s[i])) * 1099511628211
	}
	return h
}

// Kind is a sort of generated message.
type Kind string

// The kinds. Each is something that has broken mail software.
const (
	Plain        Kind = "plain"         // a letter
	EightBit     Kind = "8bit"          // Latin-1 or UTF-8 in the body
	EAI          Kind = "eai"           // addresses and header fields in UTF-8 (RFC 6532); needs SMTPUTF8
	NoHeader     Kind = "no-header"     // begins with the empty line
	NoBody       Kind = "no-body"       // header only, without the empty line
	Empty        Kind = "empty"         // no bytes at all
	NoNewline    Kind = "no-newline"    // the last line has no line end
	HugeLine     Kind = "huge-line"     // lines of far more than 998 bytes
	Dots         Kind = "dots"          // lines that begin with dots, or are one
	FromLines    Kind = "from-lines"    // lines that begin with "From ", ">From ", ">>From "
	BlankLines   Kind = "blank-lines"   // empty lines at both ends and in a row
	Nested       Kind = "nested"        // multipart in multipart, five deep
	Alternative  Kind = "alternative"   // text and HTML
	Attachment   Kind = "attachment"    // binary parts in base64
	Forwarded    Kind = "forwarded"     // message/rfc822
	DSN          Kind = "dsn"           // a delivery status notification (RFC 3464)
	FoldedHeader Kind = "folded-header" // long folded fields, blank continuation, tabs
	BadHeader    Kind = "bad-header"    // a line without colon, blanks before the colon, 8-bit text
	Control      Kind = "control"       // NUL and other control characters, but neither CR nor LF
	Binary       Kind = "binary"        // any byte but CR
	Headers      Kind = "many-headers"  // hundreds of fields, several of one name
	Tiny         Kind = "tiny"          // one byte
	Boundary     Kind = "buffer-edge"   // dots and line ends around multiples of 4096 bytes
)

// Kinds lists all kinds.
func Kinds() []Kind {
	return []Kind{Plain, EightBit, EAI, NoHeader, NoBody, Empty, NoNewline, HugeLine, Dots, FromLines, BlankLines, Nested,
		Alternative, Attachment, Forwarded, DSN, FoldedHeader, BadHeader, Control, Binary, Headers, Tiny, Boundary}
}

// Sample is a generated message with an envelope that fits it.
type Sample struct {
	Kind     Kind
	From     string   // "" is the null reverse-path
	To       []string // one to three
	Text     string   // LF line ends
	SMTPUTF8 bool     // the envelope or the header needs it
}

// CRLF is Text with CRLF line ends, the last line complete: as it is on the wire, without dot stuffing.
func (s Sample) CRLF() string { return strings.ReplaceAll(withNewline(s.Text), "\n", "\r\n") }

// Messages generates n messages, taking the kinds in turn. A seed always gives the same messages, in every version and on
// every machine.
func Messages(seed uint64, n int) iter.Seq[Sample] {
	return func(yield func(Sample) bool) {
		kinds := Kinds()
		for i := range n {
			if !yield(Generate(kinds[i%len(kinds)], seed+uint64(i))) {
				return
			}
		}
	}
}

// Generate makes one message of a kind.
func Generate(kind Kind, seed uint64) Sample {
	g := gen{rand.New(rand.NewPCG(seed, hash(string(kind))))}
	s := Sample{Kind: kind, From: g.address(), To: []string{g.address()}}
	for g.IntN(3) == 0 && len(s.To) < 3 {
		s.To = append(s.To, g.address())
	}
	m := Mail{
		From: g.name() + " <" + s.From + ">", To: s.To[0], Subject: g.sentence(), Text: g.text(1 + g.IntN(20)),
		Date: time.Date(2026, 1, 1, 0, 0, g.IntN(1<<20), 0, time.UTC), ID: fmt.Sprintf("%x.%s@gen.example", seed, kind),
	}
	build := generators[kind]
	if build == nil {
		panic("mailtest: unknown kind of message " + string(kind))
	}
	build(g, &s, &m)
	return s
}

// gen is a source of random mail.
type gen struct{ *rand.Rand }

var generators = map[Kind]func(g gen, s *Sample, m *Mail){
	Plain: func(_ gen, s *Sample, m *Mail) { s.Text = m.String() },
	EightBit: func(g gen, s *Sample, m *Mail) {
		m.Text += "Grüße aus Köln, naïve façade, Ελληνικά, 日本語\n"
		s.Text = m.String()
		if g.IntN(2) == 0 { // Latin-1, unlabelled
			s.Text = strings.ReplaceAll(s.Text, "ü", "\xfc")
		}
	},
	EAI: func(g gen, s *Sample, m *Mail) {
		s.From, s.To[0], s.SMTPUTF8 = "jürgen@bücher.example", "用户@例子.example", true
		m.From, m.To, m.UTF8 = "Jürgen <jürgen@bücher.example>", "用户@例子.example", true
		m.Subject = "Ünïcödé " + m.Subject
		s.Text = m.String()
	},
	NoHeader: func(_ gen, s *Sample, m *Mail) { s.Text = "\n" + m.Text },
	NoBody: func(_ gen, s *Sample, m *Mail) {
		s.Text, _, _ = strings.Cut(m.String(), "\n\n")
		s.Text += "\n"
	},
	Empty:     func(_ gen, s *Sample, _ *Mail) { s.Text = "" },
	NoNewline: func(g gen, s *Sample, m *Mail) { s.Text = m.String() + g.sentence() },
	HugeLine: func(g gen, s *Sample, m *Mail) {
		m.Text += strings.Repeat(g.sentence()+" ", 200+g.IntN(2000)) + "\n" + strings.Repeat(".", 9000) + "\n"
		s.Text = m.String()
	},
	Dots: func(g gen, s *Sample, m *Mail) {
		for range 5 + g.IntN(30) {
			m.Text += g.pick(".", "..", "...", ".\n.", ". ", ".x", "x.", "", ".\n\n.", "..\n.") + "\n"
		}
		s.Text = m.String()
		if g.IntN(3) == 0 {
			s.Text += "." // the very last byte
		}
	},
	FromLines: func(g gen, s *Sample, m *Mail) {
		for range 5 + g.IntN(20) {
			m.Text += g.pick("From ", ">From ", ">>From ", "From:", "from ", "From", "\nFrom ", " From ") +
				g.pick("here on", "ann@example.org Fri Jan  2 03:04:05 2026", "") + "\n"
		}
		s.Text = m.String()
	},
	BlankLines: func(g gen, s *Sample, m *Mail) {
		n := 1 + g.IntN(9)
		m.Text = strings.Repeat("\n", n) + m.Text + strings.Repeat("\n", n) + " \n\t\n" + m.Text + strings.Repeat("\n", n)
		s.Text = m.String()
	},
	Nested: func(g gen, s *Sample, m *Mail) {
		e := entity{"text/plain", "", m.Text}
		for i := range 5 {
			e = multipart(g.pick("mixed", "alternative", "related", "signed"), fmt.Sprint(m.ID, i),
				e, entity{"text/plain; format=flowed", "", g.text(2)})
		}
		m.Text, m.Header = "", []string{"MIME-Version: 1.0"}
		s.Text = strings.TrimSuffix(m.String(), "\n")
		var b strings.Builder
		e.write(&b)
		s.Text += b.String()
	},
	Alternative: func(g gen, s *Sample, m *Mail) {
		m.HTML = "<html><body><p>" + g.sentence() + "</p>\n.\n</body></html>"
		s.Text = m.String()
	},
	Attachment: func(g gen, s *Sample, m *Mail) {
		for i := range 1 + g.IntN(3) {
			data := g.bytes(1 + g.IntN(60_000))
			m.Parts = append(m.Parts, Part{Type: g.pick("application/pdf", "image/png", ""), Name: fmt.Sprintf("file %d.bin", i), Data: data})
		}
		s.Text = m.String()
	},
	Forwarded: func(g gen, s *Sample, m *Mail) {
		inner := Mail{From: g.address(), To: g.address(), Subject: g.sentence(), Text: g.text(5)}
		m.Parts = []Part{{Type: "message/rfc822", Data: []byte(inner.String())}}
		s.Text = m.String()
	},
	DSN: func(g gen, s *Sample, m *Mail) {
		original := Mail{From: s.To[0], To: "gone@example.net", Subject: g.sentence(), Text: g.text(3)}.String()
		s.From, s.Text = "", Report("mx.example.org", s.To[0], "gone@example.net", "5.1.1", "550 5.1.1 User unknown", original)
	},
	FoldedHeader: func(g gen, s *Sample, m *Mail) {
		m.Header = append(m.Header, "References: "+strings.Repeat("<"+g.word()+"@example.org>\n\t", 30)+"<last@example.org>",
			"X-Folded: "+g.sentence()+"\n "+g.sentence()+"\n \t\n\t"+g.sentence(), "X-Long: "+strings.Repeat("a", 2000))
		s.Text = m.String()
	},
	BadHeader: func(g gen, s *Sample, m *Mail) {
		m.Header = append(m.Header, "X-Blank : before the colon", "X-Latin: caf\xe9", ": no name", "X-Empty:")
		s.Text = m.String()
		if g.IntN(2) == 0 {
			s.Text = strings.Replace(s.Text, "\n\n", "\nno colon here\n\n", 1)
		}
	},
	Control: func(g gen, s *Sample, m *Mail) {
		m.Text += "nul \x00 bell \a backspace \b escape \x1b[31m formfeed \f vertical \v delete \x7f\n\x00\n.\x00\n"
		s.Text = m.String()
	},
	Binary: func(g gen, s *Sample, m *Mail) {
		s.Text = m.String() + strings.ReplaceAll(string(g.bytes(2000+g.IntN(20_000))), "\r", "")
	},
	Headers: func(g gen, s *Sample, m *Mail) {
		for i := range 300 {
			m.Header = append(m.Header, fmt.Sprintf("X-Field-%d: %s", i%40, g.sentence()))
		}
		m.Header = append(m.Header, "Received: from a.example by b.example; Fri, 2 Jan 2026 03:04:05 +0000")
		s.Text = m.String()
	},
	Tiny: func(g gen, s *Sample, _ *Mail) { s.Text = g.pick("x", ".", "\n", ".\n", "..") },
	Boundary: func(g gen, s *Sample, m *Mail) {
		var b strings.Builder
		b.WriteString(m.String())
		line := strings.Repeat("x", 71) + "\n"
		for _, edge := range [...]int{4096, 8192, 16384, 32768} {
			pad := edge - b.Len() - g.IntN(4)
			for ; pad > 72; pad -= 72 {
				b.WriteString(line)
			}
			b.WriteString(strings.Repeat("y", max(pad, 0)) + "\n.\n..\n\n.\n")
		}
		s.Text = b.String()
	},
}

// Report builds a delivery status notification of the kind "failed" (RFC 3464) that returns the original message.
func Report(reportingMTA, to, finalRcpt, status, diagnostic, original string) string {
	m := Mail{From: "Mail Delivery Subsystem <MAILER-DAEMON@" + reportingMTA + ">", To: to, Subject: "Returned mail: see transcript for details",
		Header: []string{"Auto-Submitted: auto-generated (failure)", "MIME-Version: 1.0"}}
	e := multipart("report", to+finalRcpt,
		entity{"text/plain", "", "The following address failed:\n<" + finalRcpt + ">: " + diagnostic + "\n"},
		entity{"message/delivery-status", "", "Reporting-MTA: dns; " + reportingMTA + "\n\nFinal-Recipient: rfc822; " + finalRcpt +
			"\nAction: failed\nStatus: " + status + "\nDiagnostic-Code: smtp; " + diagnostic + "\n"},
		entity{"message/rfc822", "", withNewline(original)})
	e.ctype = strings.Replace(e.ctype, "multipart/report;", "multipart/report; report-type=delivery-status;", 1)
	var b strings.Builder
	b.WriteString(strings.TrimSuffix(m.String(), "\n"))
	e.write(&b)
	return b.String()
}

func (g gen) pick(list ...string) string { return list[g.IntN(len(list))] }

var words = strings.Fields("mail post letter queue alias route server client header body line word table record answer " +
	"question garden river stone window morning evening paper ink stamp road bridge harbour the a of and in to with from")

func (g gen) word() string { return words[g.IntN(len(words))] }

func (g gen) name() string { return g.pick("Ann Example", "Bob Sample", "Carol Test", `"Doe, John"`) }

func (g gen) address() string {
	return g.pick("ann", "bob.b", "carol+list", "d_e-f", `"quoted local"`, "o'hara", "x") + "@" +
		g.pick("example.org", "example.com", "sub.example.net", "mail.example")
}

func (g gen) sentence() string {
	var b strings.Builder
	for i := range 3 + g.IntN(8) {
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(g.word())
	}
	return b.String()
}

// text makes n lines.
func (g gen) text(n int) string {
	var b strings.Builder
	for range n {
		b.WriteString(g.sentence() + g.pick(".", "", "!", ",") + "\n")
	}
	return b.String()
}

func (g gen) bytes(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(g.Uint32())
	}
	return b
}

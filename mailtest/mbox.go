package mailtest

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// MboxVariant is one of the four kinds of mbox file.
type MboxVariant string

// The variants.
const (
	MboxO   MboxVariant = "mboxo"   // "From " becomes ">From "
	MboxRD  MboxVariant = "mboxrd"  // ">*From " gets one more ">"
	MboxCL  MboxVariant = "mboxcl"  // as mboxo, and Content-Length
	MboxCL2 MboxVariant = "mboxcl2" // Content-Length, nothing quoted
)

// MboxVariants lists the variants.
func MboxVariants() []MboxVariant { return []MboxVariant{MboxO, MboxRD, MboxCL, MboxCL2} }

// MboxMessage is a message in an mbox.
type MboxMessage struct {
	Sender string    // "" is written as MAILER-DAEMON
	Date   time.Time // zero means a minute after the message before, from 2026-01-02 03:04:05 UTC
	Text   string    // LF line ends, a last line without one is completed
	From   string    // the whole separator line instead, without line end
}

// Mbox builds an mbox file.
func Mbox(variant MboxVariant, messages ...MboxMessage) []byte {
	var b bytes.Buffer
	date := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for _, m := range messages {
		if !m.Date.IsZero() {
			date = m.Date
		}
		line := m.From
		if line == "" {
			sender := m.Sender
			if sender == "" {
				sender = "MAILER-DAEMON"
			}
			line = "From " + sender + " " + date.UTC().Format(time.ANSIC)
		}
		date = date.Add(time.Minute)
		b.WriteString(line + "\n" + mboxText(variant, withNewline(m.Text)) + "\n")
	}
	return b.Bytes()
}

// mboxText quotes a message and gives it a Content-Length, as the variant wants it.
func mboxText(variant MboxVariant, text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		rest := line
		if variant == MboxRD {
			rest = strings.TrimLeft(line, ">")
		}
		if variant != MboxCL2 && strings.HasPrefix(rest, "From ") {
			b.WriteByte('>')
		}
		b.WriteString(line)
	}
	text = b.String()
	if variant != MboxCL && variant != MboxCL2 {
		return text
	}
	header, body, ok := strings.Cut(text, "\n\n")
	if strings.HasPrefix(text, "\n") {
		header, body, ok = "", text[1:], true
	}
	if !ok {
		return strings.TrimSuffix(text, "\n") + "\nContent-Length: 0\n\n"
	}
	if header != "" {
		header += "\n"
	}
	return header + "Content-Length: " + strconv.Itoa(len(body)) + "\n\n" + body
}

// SampleMbox builds an mbox of n generated messages, with their senders. The messages without newline at the end are
// completed. A seed always gives the same bytes.
func SampleMbox(variant MboxVariant, seed uint64, n int) ([]byte, []Sample) {
	var messages []MboxMessage
	var samples []Sample
	for s := range Messages(seed, n) {
		samples = append(samples, s)
		messages = append(messages, MboxMessage{Sender: strings.ReplaceAll(s.From, " ", "-"), Text: s.Text})
	}
	return Mbox(variant, messages...), samples
}

// WriteMbox writes data to a file of mode 0600 in a new directory and returns its path.
func WriteMbox(tb testing.TB, data []byte) string {
	tb.Helper()
	path := filepath.Join(tb.TempDir(), "mbox")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		tb.Fatal(err)
	}
	return path
}

// MboxDamage is a way in which mbox files come out of the wild.
type MboxDamage struct {
	Name  string
	About string
	Apply func(mbox []byte) []byte // returns a changed copy
}

// MboxDamages lists every known breakage. Each keeps the messages apart from what its text says.
func MboxDamages() []MboxDamage {
	sub := func(old, new string, n int) func([]byte) []byte {
		return func(b []byte) []byte { return bytes.Replace(b, []byte(old), []byte(new), n) }
	}
	return []MboxDamage{
		{"no-blank-lines", "no empty line before separators, as procmail writes", func(b []byte) []byte {
			return bytes.TrimSuffix(bytes.ReplaceAll(b, []byte("\n\nFrom "), []byte("\nFrom ")), []byte("\n"))
		}},
		{"two-blank-lines", "one empty line too many before separators", sub("\n\nFrom ", "\n\n\nFrom ", -1)},
		{"no-final-newline", "the last line has no line end: a writer was cut off", func(b []byte) []byte {
			return bytes.TrimRight(bytes.Clone(b), "\n")
		}},
		{"truncated", "the last third is missing: the disk was full", func(b []byte) []byte { return bytes.Clone(b[:len(b)*2/3]) }},
		{"nul-tail", "4096 NULs at the end: the machine lost power", func(b []byte) []byte {
			return append(bytes.Clone(b), make([]byte, 4096)...)
		}},
		{"nul-block", "a block of NULs in the middle of a message", func(b []byte) []byte {
			c := bytes.Clone(b)
			clear(c[len(c)/2 : min(len(c), len(c)/2+64)])
			return c
		}},
		{"leading-blank-lines", "empty lines before the first separator", func(b []byte) []byte { return append([]byte("\n\n"), b...) }},
		{"byte-order-mark", "a UTF-8 byte order mark in front", func(b []byte) []byte { return append([]byte("\xef\xbb\xbf"), b...) }},
		{"leading-text", "text that belongs to no message in front", func(b []byte) []byte {
			return append([]byte("This is not a message.\n\n"), b...)
		}},
		{"crlf", "CRLF line ends throughout", sub("\n", "\r\n", -1)},
		{"mixed-line-ends", "CRLF in every other line", func(b []byte) []byte {
			var out []byte
			for i, l := range bytes.SplitAfter(b, []byte("\n")) {
				if i%2 == 1 && len(l) > 0 {
					l = append(bytes.TrimSuffix(bytes.Clone(l), []byte("\n")), "\r\n"...)
				}
				out = append(out, l...)
			}
			return out
		}},
		{"wrong-length", "Content-Length fields ten too large", func(b []byte) []byte {
			return mapLength(b, func(n int) string { return strconv.Itoa(n + 10) })
		}},
		{"short-length", "Content-Length fields one too small", func(b []byte) []byte {
			return mapLength(b, func(n int) string { return strconv.Itoa(max(0, n-1)) })
		}},
		{"silly-length", "Content-Length fields that are no numbers", func(b []byte) []byte {
			return mapLength(b, func(int) string { return "-99999999999999999999" })
		}},
		{"bare-from", "separators without sender and date", func(b []byte) []byte {
			return mapSeparators(b, func(string) string { return "From " })
		}},
		{"thunderbird", `separators "From - date"`, func(b []byte) []byte {
			return mapSeparators(b, func(l string) string { return "From - " + l[len(l)-24:] })
		}},
		{"two-blanks", "two blanks before the date, as Postfix and Dovecot write", func(b []byte) []byte {
			return mapSeparators(b, func(l string) string { return l[:len(l)-24] + " " + l[len(l)-24:] })
		}},
		{"zone", "a zone before the year", func(b []byte) []byte {
			return mapSeparators(b, func(l string) string { return l[:len(l)-4] + "+0100 " + l[len(l)-4:] })
		}},
		{"sender-with-blank", "a blank in the sender, not quoted", func(b []byte) []byte {
			return mapSeparators(b, func(l string) string { return "From sp ace@x " + l[len(l)-24:] })
		}},
		{"impossible-date", "dates that do not exist", func(b []byte) []byte {
			return mapSeparators(b, func(string) string { return "From a@b Xxx Feb 30 25:61:61 2026" })
		}},
		{"unquoted-from", `body lines that begin with "From " and are no separators`, func(b []byte) []byte {
			return bytes.ReplaceAll(b, []byte("\n>From "), []byte("\nFrom "))
		}},
		{"empty-message", "a separator directly after another", func(b []byte) []byte {
			return append([]byte("From nobody@example.org Thu Jan  1 00:00:01 2026\n"), b...)
		}},
		{"gzip", "the beginning of a gzip file: not an mbox at all", func([]byte) []byte { return []byte("\x1f\x8b\x08\x00\x00\x00\x00\x00") }},
		{"mmdf", "MMDF: another format", func(b []byte) []byte {
			return append(append([]byte("\x01\x01\x01\x01\n"), b...), "\x01\x01\x01\x01\n"...)
		}},
	}
}

// mapSeparators replaces the separator lines that Mbox writes.
func mapSeparators(b []byte, f func(line string) string) []byte {
	lines := strings.SplitAfter(string(b), "\n")
	for i, l := range lines {
		if strings.HasPrefix(l, "From ") && (i == 0 || lines[i-1] == "\n") && len(l) > 31 {
			if _, err := time.Parse(time.ANSIC, strings.TrimSuffix(l[len(l)-25:], "\n")); err == nil {
				lines[i] = f(strings.TrimSuffix(l, "\n")) + "\n"
			}
		}
	}
	return []byte(strings.Join(lines, ""))
}

func mapLength(b []byte, f func(n int) string) []byte {
	lines := strings.SplitAfter(string(b), "\n")
	for i, l := range lines {
		if v, ok := strings.CutPrefix(l, "Content-Length: "); ok {
			if n, err := strconv.Atoi(strings.TrimSpace(v)); err == nil {
				lines[i] = "Content-Length: " + f(n) + "\n"
			}
		}
	}
	return []byte(strings.Join(lines, ""))
}

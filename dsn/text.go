package dsn

import (
	"fmt"
	"strings"
)

// headings introduce the recipients in the part for people, by action, in the order of the sections.
var headings = []struct {
	action Action
	text   string
}{
	{Failed, "Your message could not be delivered to"},
	{Delayed, "Your message is still waiting to be delivered to"},
	{Delivered, "Your message was delivered to"},
	{Relayed, "Your message was passed on, to a system that sends no receipts, for"},
	{Expanded, "Your message was passed on to the members of"},
}

// text makes the part for people.
func (m *Message) text(missing bool) string {
	var b strings.Builder
	line := func(format string, args ...any) {
		b.WriteString(printable(fmt.Sprintf(format, args...)))
		b.WriteByte('\n')
	}
	line("This is the mail system at %s.", m.opts.Host)
	if m.double {
		line("")
		line("The mail described here has no sender who could be told, so the postmaster is.")
	}
	line("")
	if o := &m.Original; !o.Arrived.IsZero() {
		line("The original message was accepted on %s", o.Arrived.Format(dateForm))
		if o.Client != "" {
			line("from %s", o.Client)
		}
	}
	for _, h := range headings {
		if !m.has(h.action) {
			continue
		}
		line("")
		line("   ----- %s -----", h.text)
		for i := range m.Recipients {
			if r := &m.Recipients[i]; r.Action == h.action {
				m.recipientText(line, r)
			}
		}
	}
	if m.has(Delayed) && !m.has(Failed) {
		line("")
		line("This is a warning only. There is no need to send the message again:")
		line("the system goes on trying by itself.")
	}
	line("")
	switch {
	case missing:
		line("The message itself cannot be shown; it was no longer found here.")
	case m.Original.Open == nil:
	case m.HeadersOnly():
		line("The header of the message is attached.")
	default:
		line("The message is attached.")
	}
	return b.String()
}

func (m *Message) recipientText(line func(string, ...any), r *Recipient) {
	_, final := cutType(r.Final)
	_, orig := cutType(r.Original)
	shown := final
	if orig != "" {
		shown = orig
	}
	line("<%s>", strings.Trim(shown, "<>"))
	if orig != "" && !strings.EqualFold(orig, final) {
		line("    (tried as <%s>)", strings.Trim(final, "<>"))
	}
	switch {
	case r.Diagnostic != "" && r.RemoteMTA != "":
		line("    (%s answered: %s)", strings.TrimSuffix(r.RemoteMTA, "."), r.Diagnostic)
	case r.Diagnostic != "":
		line("    (reason: %s)", r.Diagnostic)
	}
	if r.Reason != "" && !strings.Contains(r.Diagnostic, r.Reason) {
		line("    (%s)", r.Reason)
	}
	if r.Action == Delayed && !r.RetryUntil.IsZero() {
		line("    (tries go on until %s)", r.RetryUntil.Format(dateForm))
	}
}

// printable keeps a line one line and valid UTF-8: what a peer answered must not forge parts of the report.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == 0xfffd:
			return '?'
		case r < ' ' || r == 0x7f:
			return ' '
		}
		return r
	}, s)
}

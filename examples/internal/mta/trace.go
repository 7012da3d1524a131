package mta

import (
	"time"

	"github.com/mtakit/mtakit"
)

// trace is what a Received field tells (RFC 5321 section 4.4).
type trace struct {
	helo   string // what the client called itself; "" for local submission
	client string // "name [address]" or "user@localhost"
	proto  string // "ESMTP"; "" for local submission
	id     string
	rcpt   string // the only recipient with its angle brackets, or ""
	when   time.Time
}

// append appends the field in sendmail's layout, ending with LF.
func (t *trace) append(b []byte, hostname string) []byte {
	b = append(b, "Received: "...)
	if t.helo != "" {
		b = append(b, "from "...)
		b = append(b, t.helo...)
		b = append(b, " ("...)
		b = append(b, t.client...)
	} else {
		b = append(b, "(from "...)
		b = append(b, t.client...)
	}
	b = append(b, ")\n\tby "...)
	b = append(b, hostname...)
	b = append(b, " ("...)
	b = append(b, mtakit.Version...)
	b = append(b, ')')
	if t.proto != "" {
		b = append(b, " with "...)
		b = append(b, t.proto...)
	}
	b = append(b, " id "...)
	b = append(b, t.id...)
	if t.rcpt != "" {
		b = append(b, "\n\tfor "...)
		b = append(b, t.rcpt...)
	}
	b = append(b, "; "...)
	b = t.when.AppendFormat(b, time.RFC1123Z)
	return append(b, '\n')
}

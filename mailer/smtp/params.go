package smtp

import (
	"bufio"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/mtakit/mtakit"
	"golang.org/x/net/idna"
)

// writeMail writes the MAIL command with the parameters that the server understands.
func (c *conn) writeMail(d *delivery) {
	w, a := c.w, d.a
	w.WriteString("MAIL FROM:<")
	w.WriteString(c.addr(a.From))
	w.WriteByte('>')
	if c.ext.size && a.Size >= 0 {
		var n [20]byte
		w.WriteString(" SIZE=")
		w.Write(strconv.AppendInt(n[:0], a.Size, 10))
	}
	if c.ext.eightBit && (a.BodyType == "8BITMIME" || a.BodyType == "7BIT") {
		w.WriteString(" BODY=")
		w.WriteString(a.BodyType)
	}
	if c.utf8 {
		w.WriteString(" SMTPUTF8")
	}
	if c.ext.dsn {
		if a.Ret == "FULL" || a.Ret == "HDRS" {
			w.WriteString(" RET=")
			w.WriteString(a.Ret)
		}
		if a.EnvID != "" {
			w.WriteString(" ENVID=")
			writeXtext(w, a.EnvID)
		}
	}
	w.WriteString("\r\n")
}

// writeRcpt writes one RCPT command.
func (c *conn) writeRcpt(r *mtakit.Recipient) {
	w := c.w
	w.WriteString("RCPT TO:<")
	w.WriteString(c.addr(r.Addr))
	w.WriteByte('>')
	if c.ext.dsn {
		writeNotify(w, r.Notify)
		if kind, value, ok := strings.Cut(r.Original, ";"); ok && isAtom(kind) {
			w.WriteString(" ORCPT=")
			w.WriteString(kind)
			w.WriteByte(';')
			if strings.EqualFold(kind, "utf-8") {
				writeUTF8Xtext(w, value, c.utf8)
			} else {
				writeXtext(w, value)
			}
		}
	}
	w.WriteString("\r\n")
}

// addr prints an address for this server: a U-label domain becomes A-labels unless the transaction is SMTPUTF8.
func (c *conn) addr(a mtakit.Address) string {
	if !c.utf8 && !isASCII(a.Domain) {
		if d, err := idna.Lookup.ToASCII(a.Domain); err == nil {
			a.Domain = d
		}
	}
	return a.String()
}

func writeNotify(w *bufio.Writer, n mtakit.Notify) {
	if n == 0 {
		return
	}
	w.WriteString(" NOTIFY=")
	if n&mtakit.NotifyNever != 0 {
		w.WriteString("NEVER")
		return
	}
	sep := ""
	for _, v := range [...]struct {
		bit  mtakit.Notify
		word string
	}{{mtakit.NotifySuccess, "SUCCESS"}, {mtakit.NotifyFailure, "FAILURE"}, {mtakit.NotifyDelay, "DELAY"}} {
		if n&v.bit != 0 {
			w.WriteString(sep)
			w.WriteString(v.word)
			sep = ","
		}
	}
}

const upperHex = "0123456789ABCDEF"

// writeXtext writes s as xtext (RFC 3461 section 4).
func writeXtext(w *bufio.Writer, s string) {
	for i := 0; i < len(s); i++ {
		if c := s[i]; c <= ' ' || c >= 0x7f || c == '+' || c == '=' {
			w.WriteByte('+')
			w.WriteByte(upperHex[c>>4])
			w.WriteByte(upperHex[c&15])
		} else {
			w.WriteByte(c)
		}
	}
}

// writeUTF8Xtext writes an address of type utf-8 (RFC 6533 section 3): as it is where the transaction is SMTPUTF8,
// else with everything outside ASCII as \x{HEX}.
func writeUTF8Xtext(w *bufio.Writer, s string, raw bool) {
	for _, r := range s {
		switch {
		case r <= ' ', r == 0x7f, r == '+', r == '=', r == '\\', r >= 0x80 && (!raw || r == utf8.RuneError):
			w.WriteString(`\x{`)
			w.WriteString(strings.ToUpper(strconv.FormatInt(int64(r), 16)))
			w.WriteByte('}')
		default:
			w.WriteRune(r)
		}
	}
}

func isAtom(s string) bool {
	for i := 0; i < len(s); i++ {
		if c := s[i]; c <= ' ' || c >= 0x7f || strings.IndexByte(`()<>[]:;@\,."+=`, c) >= 0 {
			return false
		}
	}
	return s != ""
}

func isASCII[T string | []byte](s T) bool {
	for i := 0; i < len(s); i++ {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// sendable reports whether an address can stand in a command at all. Control characters would end the command early,
// and a broken UTF-8 sequence means nothing to the peer.
func sendable(a mtakit.Address) bool {
	for _, s := range [...]string{a.Local, a.Domain} {
		for i := 0; i < len(s); i++ {
			if s[i] < ' ' || s[i] == 0x7f {
				return false
			}
		}
		if !utf8.ValidString(s) {
			return false
		}
	}
	return !strings.ContainsAny(a.Domain, "<> ")
}

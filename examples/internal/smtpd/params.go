package smtpd

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/mtakit/mtakit"
)

// Mail is a MAIL command.
type Mail struct {
	Path     string // the text of the reverse-path with its angle brackets, "<>" for the null one
	Size     int64  // SIZE=, 0 when not given
	BodyType string // BODY=: "7BIT", "8BITMIME" or ""
	SMTPUTF8 bool
	Ret      string // RET=: "FULL", "HDRS" or ""
	EnvID    string // ENVID=, xtext decoded
	Auth     string // AUTH=, xtext decoded; taken and passed on, not trusted
}

// Rcpt is a RCPT command.
type Rcpt struct {
	Path     string // the text of the forward-path with its angle brackets
	Notify   mtakit.Notify
	Original string // ORCPT=, xtext decoded
}

// splitPath takes the path from the argument of MAIL or RCPT after its keyword: what is in angle brackets, quotes
// respected, or, as sendmail allows, one word without them. The rest are parameters.
func splitPath(arg string) (path string, params []string, ok bool) {
	arg = strings.TrimLeft(arg, " \t")
	if arg == "" {
		return "", nil, false
	}
	if arg[0] != '<' {
		f := strings.Fields(arg)
		return "<" + f[0] + ">", f[1:], true
	}
	quoted := false
	for i := 1; i < len(arg); i++ {
		switch arg[i] {
		case '\\':
			i++
		case '"':
			quoted = !quoted
		case '>':
			if !quoted {
				return arg[:i+1], strings.Fields(arg[i+1:]), true
			}
		}
	}
	return "", nil, false
}

func syntaxError(format string, args ...any) error {
	return &mtakit.Error{Code: 501, Status: mtakit.StatusInvalidArguments, Text: fmt.Sprintf(format, args...)}
}

func parseMail(arg string) (Mail, error) {
	path, params, ok := splitPath(arg)
	if !ok {
		return Mail{}, &mtakit.Error{Code: 501, Status: mtakit.StatusSyntax, Text: `Syntax error in parameters scanning "FROM"`}
	}
	m := Mail{Path: path}
	for _, p := range params {
		key, val, _ := strings.Cut(p, "=")
		var err error
		switch strings.ToUpper(key) {
		case "SIZE":
			m.Size, err = strconv.ParseInt(val, 10, 64)
			if err != nil || m.Size < 0 {
				return m, syntaxError("invalid SIZE %q", val)
			}
		case "BODY":
			m.BodyType = strings.ToUpper(val)
			if m.BodyType != "7BIT" && m.BodyType != "8BITMIME" {
				return m, syntaxError("Unknown BODY type %s", val)
			}
		case "SMTPUTF8":
			m.SMTPUTF8 = true
		case "RET":
			m.Ret = strings.ToUpper(val)
			if m.Ret != "FULL" && m.Ret != "HDRS" {
				return m, syntaxError("Bad argument \"%s\" to RET", val)
			}
		case "ENVID":
			if m.EnvID, err = decodeXtext(val); err != nil || val == "" {
				return m, syntaxError("Syntax error in ENVID parameter value")
			}
		case "AUTH":
			if m.Auth, err = decodeXtext(val); err != nil || val == "" {
				return m, syntaxError("Syntax error in AUTH parameter value")
			}
		default:
			return m, &mtakit.Error{Code: 555, Status: mtakit.StatusInvalidArguments, Text: key + " parameter unrecognized"}
		}
	}
	return m, nil
}

func parseRcpt(arg string) (Rcpt, error) {
	path, params, ok := splitPath(arg)
	if !ok || path == "<>" {
		return Rcpt{}, &mtakit.Error{Code: 501, Status: mtakit.StatusSyntax, Text: `Syntax error in parameters scanning "TO"`}
	}
	r := Rcpt{Path: path}
	for _, p := range params {
		key, val, _ := strings.Cut(p, "=")
		var err error
		switch strings.ToUpper(key) {
		case "NOTIFY":
			if r.Notify, err = parseNotify(val); err != nil {
				return r, err
			}
		case "ORCPT":
			typ, addr, ok := strings.Cut(val, ";")
			if addr, err = decodeXtext(addr); err != nil || !ok || typ == "" || addr == "" {
				return r, syntaxError("Syntax error in ORCPT parameter value")
			}
			r.Original = typ + ";" + addr
		default:
			return r, &mtakit.Error{Code: 555, Status: mtakit.StatusInvalidArguments, Text: key + " parameter unrecognized"}
		}
	}
	return r, nil
}

// parseNotify reads the value of NOTIFY (RFC 3461 section 4.1): NEVER alone, or a list of the others.
func parseNotify(val string) (mtakit.Notify, error) {
	var n mtakit.Notify
	for _, w := range strings.Split(val, ",") {
		switch strings.ToUpper(w) {
		case "NEVER":
			n |= mtakit.NotifyNever
		case "SUCCESS":
			n |= mtakit.NotifySuccess
		case "FAILURE":
			n |= mtakit.NotifyFailure
		case "DELAY":
			n |= mtakit.NotifyDelay
		default:
			return 0, syntaxError("Bad argument \"%s\" to NOTIFY", w)
		}
	}
	if n&mtakit.NotifyNever != 0 && n != mtakit.NotifyNever {
		return 0, syntaxError("NOTIFY=NEVER does not go with other values")
	}
	return n, nil
}

// decodeXtext undoes the encoding of RFC 3461 section 4: printable ASCII, with +XX for the rest.
func decodeXtext(s string) (string, error) {
	if !strings.Contains(s, "+") {
		return s, nil
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '+' {
			b.WriteByte(s[i])
			continue
		}
		if i+2 >= len(s) {
			return "", fmt.Errorf("xtext %q ends inside +XX", s)
		}
		v, err := strconv.ParseUint(s[i+1:i+3], 16, 8)
		if err != nil {
			return "", fmt.Errorf("xtext %q: %w", s, err)
		}
		b.WriteByte(byte(v))
		i += 2
	}
	return b.String(), nil
}

package mtakit

import (
	"net/netip"
	"strings"
	"unicode/utf8"
)

// badAddress makes the verdict on an address that cannot be read. The reply code is sendmail's for all of them.
func badAddress(status Status, text string) error {
	return &Error{Code: 553, Status: status, Text: text}
}

// ParseAddress reads one mailbox as it stands in SMTP: local@domain with a dot-string or a quoted string as local
// part (RFC 5321 section 4.1.2), a domain or an address literal (section 4.1.3), and UTF-8 in both (RFC 6531 section
// 3.3). A local part alone is a local name. Neither brackets, display names, comments nor source routes are read: see
// ParsePath and ParseDestination. Dots may stand anywhere in an unquoted local part, since real addresses need it. The
// result's String gives the text back, up to needless quotes. Errors are *Error with code 553 and status 5.1.3 for
// the form and 5.1.2 for the domain.
func ParseAddress(s string) (Address, error) {
	local, rest, err := cutLocal(s)
	if err != nil {
		return Address{}, err
	}
	if rest == "" {
		if local == "" {
			return Address{}, badAddress(StatusMailboxSyntax, "User address required")
		}
		return Address{Local: local}, nil
	}
	domain := rest[1:]
	switch {
	case domain == "":
		return Address{}, badAddress(StatusMailboxSyntax, "Hostname required")
	case local == "":
		return Address{}, badAddress(StatusMailboxSyntax, "User address required")
	case domain[0] == '[':
		if err := checkLiteral(domain); err != nil {
			return Address{}, err
		}
		return Address{local, domain}, nil
	}
	domain = strings.TrimSuffix(domain, ".")
	if err := checkDomain(domain); err != nil {
		return Address{}, err
	}
	return Address{local, domain}, nil
}

// ParsePath reads the path of a MAIL or RCPT command: an address in angle brackets, or <> for the null reverse-path.
// A source route in front of the address is dropped, as RFC 5321 appendix C asks. rest is what follows the bracket:
// the parameters. An address without brackets ends at the first blank; many clients send that, so it is read.
func ParsePath(s string) (a Address, rest string, err error) {
	s = strings.TrimLeft(s, " \t")
	if !strings.HasPrefix(s, "<") {
		text, rest, _ := strings.Cut(s, " ")
		a, err = ParseAddress(text)
		return a, rest, err
	}
	end := closingAngle(s)
	if end < 0 {
		return Address{}, "", badAddress(0, "Unbalanced '<'")
	}
	text, rest := strings.Trim(s[1:end], " \t"), s[end+1:]
	if rest != "" && rest[0] != ' ' && rest[0] != '\t' {
		return Address{}, "", badAddress(StatusMailboxSyntax, "Blank required after '>'")
	}
	if text == "" {
		return Address{}, rest, nil
	}
	if text[0] == '@' {
		_, after, ok := strings.Cut(text, ":")
		if !ok {
			return Address{}, "", badAddress(StatusMailboxSyntax, "Invalid route address")
		}
		text = after
	}
	a, err = ParseAddress(text)
	return a, rest, err
}

// closingAngle returns the index of the bracket that closes the one at the start of s, -1 if there is none.
func closingAngle(s string) int {
	quoted := false
	for i := 1; i < len(s); i++ {
		switch c := s[i]; {
		case c == '\\' && quoted:
			i++
		case c == '"':
			quoted = !quoted
		case c == '>' && !quoted:
			return i
		}
	}
	return -1
}

// cutLocal decodes the local part at the start of s. rest is empty or begins with the at sign.
func cutLocal(s string) (local, rest string, err error) {
	if !strings.HasPrefix(s, `"`) {
		i := strings.IndexByte(s, '@')
		if i < 0 {
			i = len(s)
		}
		if local = s[:i]; !isLocalText(local) || !utf8.ValidString(local) {
			return "", "", badAddress(StatusMailboxSyntax, "Invalid characters in user name")
		}
		return local, s[i:], nil
	}
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"':
			rest = s[i+1:]
			if rest != "" && rest[0] != '@' || !utf8.ValidString(b.String()) {
				return "", "", badAddress(StatusMailboxSyntax, "Invalid characters in user name")
			}
			return b.String(), rest, nil
		default:
			if c == '\\' && i+1 < len(s) {
				i++
				c = s[i]
			}
			if c < ' ' || c == 0x7f { // RFC 5321 section 4.1.2: not after a backslash either
				return "", "", badAddress(StatusMailboxSyntax, "Invalid characters in user name")
			}
			b.WriteByte(c)
		}
	}
	return "", "", badAddress(0, `Unbalanced '"'`)
}

// isLocalText reports whether s may stand as an unquoted local part: no blanks, controls or specials.
func isLocalText(s string) bool {
	for i := 0; i < len(s); i++ {
		if c := s[i]; c <= ' ' || c == 0x7f || strings.IndexByte(`()<>[]:;,\"@`, c) >= 0 {
			return false
		}
	}
	return true
}

// checkDomain checks a domain name: labels of letters, digits, hyphens, underscores (which exist in the wild) and
// UTF-8, none empty or longer than 63 bytes, 255 bytes in all (RFC 5321 section 4.5.3.1.2).
func checkDomain(s string) error {
	bad := badAddress(StatusBadSystem, "Invalid host name")
	if s == "" || len(s) > 255 || !utf8.ValidString(s) {
		return bad
	}
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || len(label) > 63 {
			return bad
		}
		for i := 0; i < len(label); i++ {
			c := label[i]
			if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' || c == '_' || c >= utf8.RuneSelf) {
				return bad
			}
		}
	}
	return nil
}

// checkLiteral checks an address literal with its brackets (RFC 5321 section 4.1.3).
func checkLiteral(s string) error {
	inner, ok := strings.CutSuffix(s[1:], "]")
	if !ok || inner == "" {
		return badAddress(StatusBadSystem, "Invalid address")
	}
	if strings.IndexFunc(inner, func(c rune) bool { return c <= ' ' || c == 0x7f || strings.ContainsRune(`[]\"<>`, c) }) >= 0 ||
		!utf8.ValidString(inner) {
		return badAddress(StatusBadSystem, "Invalid address")
	}
	if tag, v6, ok := strings.Cut(inner, ":"); ok && strings.EqualFold(tag, "IPv6") {
		if ip, err := netip.ParseAddr(v6); err != nil || !ip.Is6() || ip.Zone() != "" {
			return badAddress(StatusBadSystem, "Invalid address")
		}
	}
	return nil
}

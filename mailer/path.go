package mailer

import (
	"errors"
	"fmt"
	"strings"

	"github.com/mtakit/mtakit"
)

// ErrPattern is the reason why a path pattern cannot be used.
var ErrPattern = errors.New("path pattern")

// CheckPattern reports what is wrong with the pattern of a mailbox path, for a program's start. The sequences are
// %u (user), %d (domain), %h (home directory) and %% (a percent sign).
func CheckPattern(pattern string) error {
	_, err := expandPath(pattern, "user", "domain", "/home")
	return err
}

// expandPath fills in a pattern. A user or domain that could leave the directory it is put into is refused with a
// permanent error, since no mailbox can have that name.
func expandPath(pattern, user, domain, home string) (string, error) {
	if pattern == "" {
		return "", fmt.Errorf("%w is empty", ErrPattern)
	}
	var b strings.Builder
	for i := 0; i < len(pattern); i++ {
		if pattern[i] != '%' {
			b.WriteByte(pattern[i])
			continue
		}
		i++
		if i == len(pattern) {
			return "", fmt.Errorf("%w %q ends in %%", ErrPattern, pattern)
		}
		word := ""
		switch pattern[i] {
		case '%':
			word = "%"
		case 'u':
			word = user
		case 'd':
			word = strings.ToLower(domain)
		case 'h':
			if home == "" {
				return "", &mtakit.Error{Status: mtakit.StatusTemporary, Text: "home directory is not known"}
			}
			b.WriteString(home)
			continue
		default:
			return "", fmt.Errorf("%w %q: %%%c is not %%u, %%d, %%h or %%%%", ErrPattern, pattern, pattern[i])
		}
		if !safeName(word) {
			return "", &mtakit.Error{Code: 550, Status: mtakit.StatusBadMailbox, Text: "User unknown",
				Err: fmt.Errorf("%q cannot be part of a path", word)}
		}
		b.WriteString(word)
	}
	return b.String(), nil
}

// safeName reports whether s can be one component of a path and nothing else.
func safeName(s string) bool {
	if s == "" || s[0] == '.' || len(s) > 200 {
		return false
	}
	for i := 0; i < len(s); i++ {
		if c := s[i]; c < ' ' || c == 0x7f || c == '/' || c == '\\' || c == ':' {
			return false
		}
	}
	return true
}

package table

import (
	"errors"
	"strings"

	"github.com/mtakit/mtakit"
	"github.com/mtakit/mtakit/internal/lex"
)

// Record is one key with its value, as stored: a trailing NUL that a map file carries is part of both.
type Record struct {
	Key, Value string
	Pos        mtakit.Position // zero for records of binary files
}

// Printable returns s up to its first NUL, which is how makemap -u and praliases print keys and values.
func Printable(s string) string {
	head, _, _ := strings.Cut(s, "\x00")
	return head
}

// Fold returns key with the ASCII letters A to Z in lower case and every other byte unchanged, as makemap and sendmail fold
// keys.
func Fold(key string) string { return lex.Fold(key) }

// foldBytes is Fold in place.
func foldBytes(b []byte) {
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
}

// Reasons for a fault in the text of a map; errors.Is finds them in the errors of Parse and Scanner. The texts are
// makemap's.
var (
	ErrLineTooLong  = errors.New("line too long (1024 bytes max)")
	ErrLeadingSpace = errors.New("syntax error (leading space)")
	ErrNoValue      = errors.New("no RHS for LHS")
	ErrDuplicate    = errors.New("duplicate key")
)

// keyError is a reason together with the key it is about, worded as makemap words it.
type keyError struct {
	reason error
	text   string
}

func (e *keyError) Error() string { return e.text }
func (e *keyError) Unwrap() error { return e.reason }

// NoValueError is the fault of a record without a value.
func NoValueError(key string) error { return &keyError{ErrNoValue, "no RHS for LHS " + key} }

// DuplicateError is the fault of a record whose key is there already.
func DuplicateError(key string) error {
	return &keyError{ErrDuplicate, "key " + key + ": duplicate key"}
}

package access

import (
	"io"

	"github.com/mtakit/mtakit/internal/maptext"
)

// Faults that Parse reports inside a *mtakit.SyntaxError.
var (
	// ErrLeadingSpace: the line begins with white space. There are no continuation lines in this format.
	ErrLeadingSpace = maptext.ErrLeadingSpace
	// ErrNoValue: there is a key but nothing after it.
	ErrNoValue = maptext.ErrNoValue
	// ErrLineTooLong: the line has more than the 1022 bytes that makemap reads.
	ErrLineTooLong = maptext.ErrLineTooLong
	// ErrDuplicate: the key was given before. The first entry stands.
	ErrDuplicate = maptext.ErrDuplicate
)

// Parse reads an access table in makemap's text form. It keeps every good entry and returns, joined, a
// *mtakit.SyntaxError for every bad line; name only appears in positions. An error of r itself is joined, too.
func Parse(r io.Reader, name string) (*File, error) {
	text, err := maptext.Parse(r, name)
	return &File{text}, err
}

package mailertable

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
	// ErrLineTooLong: the line is longer than Parser.MaxLine.
	ErrLineTooLong = maptext.ErrLineTooLong
	// ErrDuplicate: the key was given before. The first entry stands.
	ErrDuplicate = maptext.ErrDuplicate
)

// Parser says how mailertables are read. The zero value reads them as makemap does.
type Parser struct {
	// MaxLine is the length of a line in bytes, without its newline, that is still read. Zero means 1022.
	MaxLine int
	// MaxSize is the size of a file in bytes that is still read. Zero means 1 GiB.
	MaxSize int64
}

// Parse reads a mailertable with the zero Parser.
func Parse(r io.Reader, name string) (*File, error) { return new(Parser).Parse(r, name) }

// Parse reads a mailertable in makemap's text form. It keeps every good entry and returns, joined, a
// *mtakit.SyntaxError for every bad line; name only appears in positions. A table that cannot be read to its end is an
// error without File: half of a table is no table.
func (p *Parser) Parse(r io.Reader, name string) (*File, error) {
	text, err := maptext.Parse(r, name, maptext.Limits{MaxLine: p.MaxLine, MaxSize: p.MaxSize})
	if text == nil {
		return nil, err
	}
	return &File{text}, err
}

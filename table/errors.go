package table

import (
	"errors"
	"fmt"
)

// Kinds of faults of a binary map file, found by errors.Is. All of them mean "cannot tell", never "not found".
var (
	ErrEmptyFile          = errors.New("empty file")            // zero bytes
	ErrTruncated          = errors.New("truncated")             // shorter than its own header says
	ErrNotDatabase        = errors.New("not a database")        // no magic number that is known
	ErrUnsupportedVersion = errors.New("unsupported version")   // a format version this package does not read
	ErrUnsupportedFeature = errors.New("unsupported feature")   // encryption, named databases, other access methods
	ErrCorrupt            = errors.New("corrupt")               // damaged
	ErrChanged            = errors.New("file changed under us") // rewritten in place while it was being read
	ErrTooLarge           = errors.New("too large")             // a limit of the format: a record or file cannot be written
)

// FormatError is a fault in a binary map file.
type FormatError struct {
	File   string
	Page   int64 // page number, -1 when the format has no pages or none is concerned
	Offset int64 // byte offset in the file
	Kind   error // one of the kinds above
	Reason string
}

// Error prints file, page, offset, kind and reason.
func (e *FormatError) Error() string {
	where := fmt.Sprintf("offset %d", e.Offset)
	if e.Page >= 0 {
		where = fmt.Sprintf("page %d, offset %d", e.Page, e.Offset)
	}
	return fmt.Sprintf("%s: %s: %v: %s", e.File, where, e.Kind, e.Reason)
}

// Unwrap returns Kind.
func (e *FormatError) Unwrap() error { return e.Kind }

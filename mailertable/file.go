package mailertable

import (
	"context"
	"io"
	"iter"

	"github.com/mtakit/mtakit"
	"github.com/mtakit/mtakit/internal/maptext"
)

// Entry is one line of a mailertable. Key is as written; look-ups fold its ASCII letters.
type Entry struct {
	Key, Value string
	Pos        mtakit.Position
}

// File is a parsed mailertable. It is an mtakit.PositionTable, so that New accepts it as it is. A File is immutable
// once parsed and safe for concurrent use.
type File struct{ text *maptext.File }

// All iterates over the entries in file order, duplicates included.
func (f *File) All() iter.Seq[Entry] { return maptext.All[Entry](f.text) }

// Len returns the number of entries, duplicates included.
func (f *File) Len() int { return f.text.Len() }

// Lookup returns the value of key, whose letters are folded. With duplicates the first one counts. It never fails.
func (f *File) Lookup(ctx context.Context, key string) (value string, ok bool, err error) {
	return f.text.Lookup(ctx, key)
}

// LookupPosition is Lookup that also tells where the entry stands.
func (f *File) LookupPosition(ctx context.Context, key string) (value string, pos mtakit.Position, ok bool, err error) {
	return f.text.LookupPosition(ctx, key)
}

// WriteTo writes the table as it was read, byte for byte, comments and faulty lines included.
func (f *File) WriteTo(w io.Writer) (int64, error) { return f.text.WriteTo(w) }

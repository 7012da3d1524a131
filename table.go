package mtakit

import "context"

// Table answers one question about a key. There are three outcomes, never two:
//
//	value, true,  nil   the key is present
//	"",    false, nil   the key is absent
//	"",    false, err   the table cannot tell; try later
//
// Keys are looked up exactly as given: folding case is the caller's business. A Table may be used by several
// goroutines at once. Lookup returns early with ctx's error when ctx ends.
type Table interface {
	Lookup(ctx context.Context, key string) (value string, ok bool, err error)
}

// TableFunc makes a function a Table.
type TableFunc func(ctx context.Context, key string) (string, bool, error)

// Lookup calls f.
func (f TableFunc) Lookup(ctx context.Context, key string) (string, bool, error) { return f(ctx, key) }

// MapTable is a Table in memory. It must not be changed while in use.
type MapTable map[string]string

// Lookup never fails.
func (m MapTable) Lookup(_ context.Context, key string) (string, bool, error) {
	v, ok := m[key]
	return v, ok, nil
}

// PositionTable is a Table that knows where its entries came from. It is optional: typed tables find it by
// assertion and then answer with positions.
type PositionTable interface {
	Table
	// LookupPosition is Lookup that also tells where the entry begins.
	LookupPosition(ctx context.Context, key string) (value string, pos Position, ok bool, err error)
}

package table

import (
	"context"

	"github.com/mtakit/mtakit"
)

// Chain asks several tables in turn: the first that has the key answers, as with several files in sendmail's AliasFile
// option. A table that cannot tell ends the search, since the tables behind it might say something else.
type Chain []mtakit.Table

// Lookup answers from the first table that has key.
func (c Chain) Lookup(ctx context.Context, key string) (string, bool, error) {
	for _, t := range c {
		if v, ok, err := t.Lookup(ctx, key); ok || err != nil {
			return v, ok, err
		}
	}
	return "", false, nil
}

// LookupPosition is Lookup; the position is zero when the table that answers knows none.
func (c Chain) LookupPosition(ctx context.Context, key string) (string, mtakit.Position, bool, error) {
	for _, t := range c {
		if v, pos, ok, err := lookupPosition(ctx, t, key); ok || err != nil {
			return v, pos, ok, err
		}
	}
	return "", mtakit.Position{}, false, nil
}

// lookupPosition asks any table, for the position too when it can tell.
func lookupPosition(ctx context.Context, t mtakit.Table, key string) (string, mtakit.Position, bool, error) {
	if p, is := t.(mtakit.PositionTable); is {
		return p.LookupPosition(ctx, key)
	}
	v, ok, err := t.Lookup(ctx, key)
	return v, mtakit.Position{}, ok, err
}

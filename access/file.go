package access

import (
	"context"
	"io"
	"iter"
	"strings"

	"github.com/mtakit/mtakit"
)

// Entry is one line of an access table. Key is as written, tag included; look-ups fold its ASCII letters.
type Entry struct {
	Key, Value string
	Pos        mtakit.Position
}

// Tag returns the tag of the entry's key in the spelling of this package ("Connect", "From", …) and the rest of the
// key. tag is "" when the key begins with none of the known tags.
func (e Entry) Tag() (tag, rest string) {
	for _, t := range Tags {
		if len(e.Key) > len(t) && e.Key[len(t)] == ':' && strings.EqualFold(e.Key[:len(t)], t) {
			return t, e.Key[len(t)+1:]
		}
	}
	return "", e.Key
}

// File is a parsed access table. It is a mtakit.PositionTable whose keys are in lower case, so that New accepts it as
// it is. A File is immutable once parsed and safe for concurrent use.
type File struct {
	text    string // the source, unchanged
	entries []Entry
	index   map[string]int // folded key -> first entry
}

// add appends e and returns the entry that stands for its key: itself, or an earlier one.
func (f *File) add(e Entry) Entry {
	if f.index == nil {
		f.index = make(map[string]int)
	}
	k := fold(e.Key)
	first, dup := f.index[k]
	if !dup {
		first = len(f.entries)
		f.index[k] = first
	}
	f.entries = append(f.entries, e)
	return f.entries[first]
}

// All iterates over the entries in file order, duplicates included.
func (f *File) All() iter.Seq[Entry] {
	return func(yield func(Entry) bool) {
		for _, e := range f.entries {
			if !yield(e) {
				return
			}
		}
	}
}

// Len returns the number of entries, duplicates included.
func (f *File) Len() int { return len(f.entries) }

// Lookup returns the value of key, whose letters are folded. With duplicates the first one counts. It never fails.
func (f *File) Lookup(ctx context.Context, key string) (string, bool, error) {
	v, _, ok, err := f.LookupPosition(ctx, key)
	return v, ok, err
}

// LookupPosition is Lookup that also tells where the entry stands.
func (f *File) LookupPosition(_ context.Context, key string) (string, mtakit.Position, bool, error) {
	i, ok := f.index[fold(key)]
	if !ok {
		return "", mtakit.Position{}, false, nil
	}
	return f.entries[i].Value, f.entries[i].Pos, true, nil
}

// WriteTo writes the table as it was read, byte for byte, comments and faulty lines included.
func (f *File) WriteTo(w io.Writer) (int64, error) {
	n, err := io.WriteString(w, f.text)
	return int64(n), err
}

// fold lowers ASCII letters and leaves all other bytes alone, as makemap and sendmail do with keys.
func fold(s string) string {
	for i := 0; i < len(s); i++ {
		if 'A' <= s[i] && s[i] <= 'Z' {
			b := []byte(s)
			for ; i < len(b); i++ {
				if 'A' <= b[i] && b[i] <= 'Z' {
					b[i] += 'a' - 'A'
				}
			}
			return string(b)
		}
	}
	return s
}

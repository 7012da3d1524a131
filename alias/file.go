package alias

import (
	"context"
	"io"
	"iter"
	"strings"

	"github.com/mtakit/mtakit"
)

// Entry is one alias.
type Entry struct {
	Key   string          // as it is stored: parsed and folded
	Value string          // the list, without blanks in front; what stands behind stays
	Pos   mtakit.Position // where the entry begins
}

// File is a parsed alias file. It holds the text and an index, nothing for each entry, and is an mtakit.PositionTable.
// A File is never changed and may be used by several goroutines at once.
type File struct {
	name   string
	text   string
	parser Parser
	index  index
	lines  lineIndex
	odd    map[uint32]string // keys that do not stand in the text as they are stored, by offset
	joined map[string]string // values of repeated keys, if Append
}

// Name returns the name that the file was parsed under.
func (f *File) Name() string { return f.name }

// Len returns the number of different keys.
func (f *File) Len() int { return f.index.used }

// WriteTo writes the file as it was read, byte for byte.
func (f *File) WriteTo(w io.Writer) (int64, error) {
	n, err := io.WriteString(w, f.text)
	return int64(n), err
}

// All returns the entries in the order of the file, repeated keys included.
func (f *File) All() iter.Seq[Entry] {
	return func(yield func(Entry) bool) {
		s := scanner{text: f.text, max: f.parser.maxLine()}
		for {
			l, ok := s.next()
			if !ok {
				return
			}
			key, ok := f.keyAt(l)
			if !ok {
				continue
			}
			e := Entry{Key: key, Value: l.value(f.text), Pos: mtakit.Position{File: f.name, Line: l.first, Col: 1}}
			if e.Value != "" && !yield(e) {
				return
			}
		}
	}
}

// keyAt returns the stored key of the entry on line l, if there is one.
func (f *File) keyAt(l line) (string, bool) {
	if l.tooLong > 0 {
		return "", false
	}
	if key, ok := f.odd[uint32(l.start)]; ok {
		return key, true
	}
	key, _, ok := plainKey(f.text[l.start:l.end])
	return f.parser.foldKey(key), ok
}

// value returns the value of the entry on line l.
func (l line) value(file string) string {
	s := l.text(file)
	return skipSpace(s[strings.IndexByte(s, ':')+1:])
}

// Lookup implements mtakit.Table: the value of the entry with exactly this key, as newaliases would have stored it.
// It never fails, and does not allocate unless the entry is written on several lines.
func (f *File) Lookup(_ context.Context, key string) (string, bool, error) {
	at, ok := f.find(key)
	if !ok {
		return "", false, nil
	}
	return f.valueAt(key, at), true, nil
}

// LookupPosition implements mtakit.PositionTable.
func (f *File) LookupPosition(_ context.Context, key string) (string, mtakit.Position, bool, error) {
	at, ok := f.find(key)
	if !ok {
		return "", mtakit.Position{}, false, nil
	}
	pos := mtakit.Position{File: f.name, Line: f.lines.at(f.text, at), Col: 1}
	return f.valueAt(key, at), pos, true, nil
}

// find returns the offset of the last entry with this key.
func (f *File) find(key string) (offset int, ok bool) {
	if len(f.index.slots) == 0 {
		return 0, false
	}
	i, tag := f.index.place(hash(key))
	for f.index.slots[i] != 0 {
		if at := f.index.slots[i] - 1; f.index.tags[i] == tag && f.hasKey(at, key) {
			return int(at), true
		}
		if i++; i == len(f.index.slots) {
			i = 0
		}
	}
	return 0, false
}

// hasKey compares the stored key of the entry at an offset.
func (f *File) hasKey(at uint32, key string) bool {
	if len(f.odd) > 0 {
		if odd, ok := f.odd[at]; ok {
			return odd == key
		}
	}
	rest := f.text[at:]
	if len(rest) <= len(key) || keyByte[rest[len(key)]] {
		return false
	}
	if f.parser.KeepCase {
		return rest[:len(key)] == key
	}
	return equalFold(rest[:len(key)], key)
}

func (f *File) valueAt(key string, at int) string {
	if f.joined != nil {
		if v, ok := f.joined[key]; ok {
			return v
		}
	}
	return f.valueOf(at)
}

// valueOf returns the value of the entry at an offset alone.
func (f *File) valueOf(at int) string {
	s := scanner{text: f.text, max: f.parser.maxLine(), pos: at}
	l, _ := s.next()
	return l.value(f.text)
}

// add enters the entry on line l under its stored key.
func (f *File) add(l line, key string) {
	if raw, _, ok := plainKey(f.text[l.start:l.end]); !ok || f.parser.foldKey(raw) != key || f.parser.KeepCase && raw != key {
		if f.odd == nil {
			f.odd = make(map[uint32]string)
		}
		f.odd[uint32(l.start)] = key
	}
	f.insert(l, key)
}

// insert enters the entry on line l in the index.
func (f *File) insert(l line, key string) {
	i, tag := f.index.place(hash(key))
	for f.index.slots[i] != 0 {
		if at := f.index.slots[i] - 1; f.index.tags[i] == tag && f.hasKey(at, key) {
			if f.parser.Append {
				f.prepend(key, int(at), l)
			}
			f.index.slots[i] = uint32(l.start) + 1
			return
		}
		if i++; i == len(f.index.slots) {
			i = 0
		}
	}
	f.index.slots[i], f.index.tags[i] = uint32(l.start)+1, tag
	f.index.used++
}

// prepend puts the value of line l before what key has so far.
func (f *File) prepend(key string, at int, l line) {
	old := f.valueAt(key, at)
	if f.joined == nil {
		f.joined = make(map[string]string)
	}
	f.joined[key] = l.value(f.text) + "," + old
}

package table

import (
	"context"
	"errors"
	"io"
	"iter"
	"os"

	"github.com/mtakit/mtakit"
)

// Text is a map read from its text, in memory, with the position of every record. It is immutable.
type Text struct {
	name    string
	records []Record
	dead    []bool         // records that a later one replaced; nil when there are none
	index   map[string]int // key to its first live record

	warnings []error
}

// Parse reads a whole text. name appears in positions; g may be nil for makemap's own grammar. The Text holds every good
// record, also when the error is not nil; that joins a *mtakit.SyntaxError for each bad line, or is the read error.
func Parse(r io.Reader, name string, g *Grammar) (*Text, error) {
	if g == nil {
		g = &Grammar{}
	}
	t := &Text{name: name, index: make(map[string]int)}
	s := NewScanner(r, name, g)
	var errs []error
	for s.Scan() {
		err := s.Err()
		if err == nil {
			err = t.add(Record{string(s.Key()), string(s.Value()), s.Pos()}, g.Duplicates)
			if err != nil && g.Form != Makemap {
				err = &keyError{ErrDuplicate, `duplicate entry: "` + string(s.Key()) + `"`}
			}
		}
		if err != nil {
			errs = append(errs, &mtakit.SyntaxError{Pos: s.Pos(), Err: err})
		}
		if w := s.Warning(); w != nil {
			t.warnings = append(t.warnings, &mtakit.SyntaxError{Pos: s.Pos(), Err: w})
		}
	}
	if err := s.ReadErr(); err != nil {
		errs = append(errs, err)
	}
	return t, errors.Join(errs...)
}

// add takes a record under the rule d.
func (t *Text) add(rec Record, d Duplicates) error {
	old, dup := t.index[rec.Key]
	switch {
	case !dup:
		t.index[rec.Key] = len(t.records)
	case d == KeepFirst:
		return DuplicateError(rec.Key)
	case d == KeepLast:
		for len(t.dead) < len(t.records) {
			t.dead = append(t.dead, false)
		}
		t.dead[old] = true
		t.index[rec.Key] = len(t.records)
	}
	t.records = append(t.records, rec)
	return nil
}

// Name returns the name given to Parse.
func (t *Text) Name() string { return t.name }

// Warnings returns remarks about records that are used nevertheless, each a *mtakit.SyntaxError.
func (t *Text) Warnings() []error { return t.warnings }

// Len returns the number of records.
func (t *Text) Len() int {
	n := len(t.records)
	for _, dead := range t.dead {
		if dead {
			n--
		}
	}
	return n
}

// All yields the records in the order of the text. The error is always nil.
func (t *Text) All() iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		for i, rec := range t.records {
			if i < len(t.dead) && t.dead[i] {
				continue
			}
			if !yield(rec, nil) {
				return
			}
		}
	}
}

// Lookup answers for key, exactly as given; of several records the first. It never fails.
func (t *Text) Lookup(_ context.Context, key string) (string, bool, error) {
	i, ok := t.index[key]
	if !ok {
		return "", false, nil
	}
	return t.records[i].Value, true, nil
}

// LookupPosition is Lookup with the position of the record.
func (t *Text) LookupPosition(_ context.Context, key string) (string, mtakit.Position, bool, error) {
	i, ok := t.index[key]
	if !ok {
		return "", mtakit.Position{}, false, nil
	}
	return t.records[i].Value, t.records[i].Pos, true, nil
}

// Close does nothing: a Text holds no file.
func (t *Text) Close() error { return nil }

// Load opens and parses the file at path.
func Load(path string, g *Grammar) (*Text, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return Parse(f, path, g)
}

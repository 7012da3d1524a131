// Package maptext reads tables in the text form of makemap(8): one entry per line, the key up to the first white
// space, the value the rest of the line. It serves the typed tables that are written in this form.
package maptext

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"math"
	"strings"

	"github.com/mtakit/mtakit"
	"github.com/mtakit/mtakit/internal/lex"
)

// Faults that Parse reports inside a *mtakit.SyntaxError.
var (
	ErrLeadingSpace = errors.New("leading space")
	ErrNoValue      = errors.New("no value")
	ErrLineTooLong  = errors.New("line too long")
	ErrDuplicate    = errors.New("duplicate key")
)

// Limits bounds what is read. Zero fields mean the defaults.
type Limits struct {
	MaxLine int   // bytes of a line without its newline; default 1022, as in sendmail's makemap
	MaxSize int64 // bytes of a file; default 1 GiB
}

func (l Limits) maxLine() int {
	if l.MaxLine > 0 {
		return l.MaxLine
	}
	return 1022
}

func (l Limits) maxSize() int64 {
	if l.MaxSize > 0 {
		return min(l.MaxSize, math.MaxInt64-1)
	}
	return 1 << 30
}

// Entry is one line.
type Entry struct {
	Key, Value string
	Pos        mtakit.Position
}

// File is a parsed table.
type File struct {
	text    []byte
	entries []Entry
	index   map[string]int // folded key -> first entry
}

// Parse reads a table. It keeps every good entry and joins a *mtakit.SyntaxError for each bad line; when a key comes
// twice, the first one stands. A table that cannot be read to its end, or is larger than the limit, is an error without File.
func Parse(r io.Reader, name string, limits Limits) (*File, error) {
	text, err := io.ReadAll(io.LimitReader(r, limits.maxSize()+1))
	if err == nil && int64(len(text)) > limits.maxSize() {
		err = fmt.Errorf("file too large (limit is %d bytes)", limits.maxSize())
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	f := &File{text: text, index: make(map[string]int)}
	var errs []error
	for lineno := 1; len(text) > 0; lineno++ {
		var line []byte
		line, text, _ = bytes.Cut(text, []byte("\n"))
		pos := mtakit.Position{File: name, Line: lineno, Col: 1}
		key, value, ok, err := parseLine(line, limits.maxLine())
		if ok {
			err = f.add(Entry{key, value, pos})
		}
		if err != nil {
			errs = append(errs, &mtakit.SyntaxError{Pos: pos, Err: err})
		}
	}
	return f, errors.Join(errs...)
}

func (f *File) add(e Entry) error {
	f.entries = append(f.entries, e)
	k := lex.Fold(e.Key)
	if first, dup := f.index[k]; dup {
		return fmt.Errorf("%w %q, first given on line %d", ErrDuplicate, e.Key, f.entries[first].Pos.Line)
	}
	f.index[k] = len(f.entries) - 1
	return nil
}

func parseLine(line []byte, maxLine int) (key, value string, ok bool, err error) {
	switch {
	case len(line) == 0 || line[0] == '#':
		return "", "", false, nil
	case len(line) > maxLine:
		return "", "", false, fmt.Errorf("%w: %d bytes, at most %d are allowed", ErrLineTooLong, len(line), maxLine)
	case isSpace(line[0]):
		return "", "", false, ErrLeadingSpace
	}
	end := 0
	for end < len(line) && !isSpace(line[end]) {
		end++
	}
	begin := end
	for begin < len(line) && isSpace(line[begin]) {
		begin++
	}
	if begin == len(line) {
		return "", "", false, fmt.Errorf("%w for key %q", ErrNoValue, line[:end])
	}
	return string(line[:end]), string(line[begin:]), true, nil
}

func isSpace(c byte) bool { return c == ' ' || c >= '\t' && c <= '\r' }

// All iterates over the entries in file order, duplicates included, as a table's own type of entry.
func All[E ~struct {
	Key, Value string
	Pos        mtakit.Position
}](f *File) iter.Seq[E] {
	return func(yield func(E) bool) {
		for _, e := range f.entries {
			if !yield(E(e)) {
				return
			}
		}
	}
}

// Len returns the number of entries, duplicates included.
func (f *File) Len() int { return len(f.entries) }

// Lookup returns the value of key, whose ASCII letters are folded. It never fails.
func (f *File) Lookup(_ context.Context, key string) (string, bool, error) {
	i, ok := f.index[lex.Fold(key)]
	if !ok {
		return "", false, nil
	}
	return f.entries[i].Value, true, nil
}

// LookupPosition is Lookup that also tells where the entry stands.
func (f *File) LookupPosition(_ context.Context, key string) (string, mtakit.Position, bool, error) {
	i, ok := f.index[lex.Fold(key)]
	if !ok {
		return "", mtakit.Position{}, false, nil
	}
	return f.entries[i].Value, f.entries[i].Pos, true, nil
}

// WriteTo writes the text as it was read.
func (f *File) WriteTo(w io.Writer) (int64, error) {
	n, err := w.Write(f.text)
	return int64(n), err
}

// Key makes the text of an address into a look-up key: without quotes and backslashes, and folded. sendmail strips the keys
// of all maps that are not declared with -q.
func Key(s string) string {
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			return lex.Fold(unquote(s))
		case 'A' <= c && c <= 'Z':
			return Key(lex.Fold(s)) // which does not touch the rest
		}
	}
	return s
}

func unquote(s string) string {
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '\\' && i+1 < len(s):
			i++
			b = append(b, s[i])
		case c != '"':
			b = append(b, c)
		}
	}
	return string(b)
}

// Expand replaces %0 to %9 in a value by args, those that are missing by nothing, and %% by a percent sign. A
// percent sign before anything else stays.
func Expand(value string, args ...string) string {
	if strings.IndexByte(value, '%') < 0 {
		return value
	}
	b := make([]byte, 0, len(value)+32)
	for i := 0; i < len(value); i++ {
		c := value[i]
		if c != '%' || i+1 == len(value) {
			b = append(b, c)
			continue
		}
		switch d := value[i+1]; {
		case d >= '0' && d <= '9':
			if n := int(d - '0'); n < len(args) {
				b = append(b, args[n]...)
			}
			i++
		case d == '%':
			b = append(b, '%')
			i++
		default:
			b = append(b, c)
		}
	}
	return string(b)
}

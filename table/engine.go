package table

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/mtakit/mtakit"
)

// Map is an open map file: a Table that can be listed and is closed after use.
type Map interface {
	mtakit.Table
	// All yields the records in the file's own order, each exactly as stored. A fault ends the sequence with an error.
	All() iter.Seq2[Record, error]
	// Close releases the file. Look-ups that are under way finish; later ones fail.
	Close() error
}

// NUL says whether keys and values carry one trailing NUL byte, which some writers of Berkeley DB and CDB files append.
type NUL int

const (
	NULAuto   NUL = iota // reading: try both, the form seen last first; writing: the engine's usual form
	NULAlways            // sendmail's map option -N
	NULNever             // sendmail's map option -O
)

// OpenOptions tunes the opening of a map. Nil and the zero value are the usual case.
type OpenOptions struct {
	// NUL is the convention for the trailing NUL byte.
	NUL NUL
	// Fixed keeps answering from the file that was opened when another takes its place; without it a map follows its
	// name, as sendmail does. A file that is rewritten in place gives errors then, which are ErrChanged. Tables of a Set
	// are opened so, to keep a generation together.
	Fixed bool
	// CheckInterval is for files that are only ever replaced by a renaming, as Engine.Install does. Zero examines the file
	// after each look-up, by one fstat(2). Otherwise a look-up that finds its key does so only when the last examination is
	// that long ago: it may answer from a file that was replaced less than CheckInterval ago, and, should somebody write
	// into the file after all, with a value that is half old and half new. "Absent" and errors are always confirmed by an
	// examination, and a file that is cut short is an error or opened again, never a crash. Not used with Fixed.
	CheckInterval time.Duration
	// LockWait bounds the wait for a program that is writing the file. Zero means 10 seconds.
	LockWait time.Duration
	// Locked says that the caller holds a Lock on the file, so that none needs to be taken.
	Locked bool
}

// Engine is a kind of map file.
type Engine struct {
	// Suffix is what the names of its files end in, dot included; it is appended to a path that lacks it. Empty for
	// texts.
	Suffix string
	// Open opens the file at path, Suffix included.
	Open func(ctx context.Context, path string, o OpenOptions) (Map, error)
	// NewBuilder starts a new map. Nil when the engine only reads.
	NewBuilder func(o BuildOptions) (Builder, error)
	// Verify reads a whole file and returns the number of its records. Nil when there is nothing to verify.
	Verify func(r io.ReaderAt, size int64, name string) (records int64, err error)
}

// Path returns the name of the file for path: with the suffix, once.
func (e Engine) Path(path string) string {
	if strings.HasSuffix(path, e.Suffix) {
		return path
	}
	return path + e.Suffix
}

// BuildOptions tunes a Builder. The zero value is ready for use.
type BuildOptions struct {
	// Duplicates is the rule for repeated keys.
	Duplicates Duplicates
	// NUL appends a NUL byte to every key and value when it is NULAlways.
	NUL NUL
	// PageSize of Berkeley DB files: a power of two from 512 to 65536. Zero means 4096.
	PageSize int
}

// Builder collects the records of a new map and writes the file in one go. It is not safe for concurrent use.
type Builder interface {
	// Put adds a record; key and value are copied. With the rule KeepFirst a key that is there already gives
	// an error that is ErrDuplicate, and the Builder goes on. Other errors (a limit of the format) do not end it
	// either: the record is left out.
	Put(key, value []byte) error
	// Len is the number of records that will be written.
	Len() int
	// WriteTo writes the whole file from front to back, and may be called once.
	io.WriterTo
}

// Install writes what b collected to the file at path, Suffix included, by way of Replace, and verifies it before it takes
// the place of the old one.
func (e Engine) Install(ctx context.Context, path string, b Builder, o *ReplaceOptions) error {
	return e.InstallFrom(ctx, path, b, o, func() error { return nil })
}

// InstallFrom is Install that calls fill, which puts the records into b, once the file is sure to be ours to write.
func (e Engine) InstallFrom(ctx context.Context, path string, b Builder, o *ReplaceOptions, fill func() error) error {
	d := o.defaults()
	want := int64(0)
	if d.Verify == nil && e.Verify != nil {
		d.Verify = func(r io.ReaderAt, size int64) error {
			n, err := e.Verify(r, size, path+".tmp")
			if err == nil && n != want {
				err = fmt.Errorf("%s.tmp: %d records, wrote %d", path, n, want)
			}
			return err
		}
	}
	return Replace(ctx, path, &d, func(w io.Writer) error {
		if err := fill(); err != nil {
			return err
		}
		want = int64(b.Len())
		_, err := b.WriteTo(w)
		return err
	})
}

// Registry is the set of classes that names may have. The caller makes it; nothing registers itself.
type Registry map[string]Engine

// ErrUnknownClass is the reason when a name has a class that the Registry lacks.
var ErrUnknownClass = errors.New("unknown map class")

// Name is a parsed map name, "class:[flags ]path".
type Name struct {
	Class string
	Path  string
	// NUL is set by the flags -N and -O.
	NUL NUL
	// Optional is the flag -o: a file that does not exist is an empty map.
	Optional bool
	// KeepCase is the flag -f: keys are not folded. Tables take keys as given, so it matters to builders only.
	KeepCase bool
}

// ParseName takes a map name apart. Flags are those of sendmail's K lines that concern a file: -N, -O, -o, -f. A name
// without a class gets class def.
func ParseName(s, def string) (Name, error) {
	n := Name{Class: def}
	rest := strings.TrimLeft(s, " \t")
	if class, tail, ok := strings.Cut(rest, ":"); ok && !strings.ContainsAny(class, "/ \t") {
		n.Class, rest = strings.ToLower(class), tail
	}
	for {
		rest = strings.TrimLeft(rest, " \t")
		if !strings.HasPrefix(rest, "-") {
			break
		}
		flags, tail, _ := strings.Cut(rest, " ")
		for _, c := range flags[1:] {
			switch c {
			case 'N':
				n.NUL = NULAlways
			case 'O':
				n.NUL = NULNever
			case 'o':
				n.Optional = true
			case 'f':
				n.KeepCase = true
			default:
				return n, fmt.Errorf("map name %q: unknown flag -%c", s, c)
			}
		}
		rest = tail
	}
	n.Path = strings.TrimRight(rest, " \t")
	switch {
	case n.Path == "":
		return n, fmt.Errorf("map name %q: no path", s)
	case n.Class == "":
		return n, fmt.Errorf("map name %q: no class", s)
	}
	return n, nil
}

// Open opens the map that name says.
func (r Registry) Open(ctx context.Context, name string) (Map, error) {
	n, err := ParseName(name, "")
	if err != nil {
		return nil, err
	}
	return r.OpenName(ctx, n)
}

// OpenName opens the map of a parsed name.
func (r Registry) OpenName(ctx context.Context, n Name) (Map, error) {
	return r.open(ctx, n, OpenOptions{NUL: n.NUL})
}

func (r Registry) open(ctx context.Context, n Name, o OpenOptions) (Map, error) {
	e, err := r.Engine(n.Class)
	if err != nil {
		return nil, err
	}
	m, err := e.Open(ctx, e.Path(n.Path), o)
	if n.Optional && errors.Is(err, fs.ErrNotExist) {
		return &Text{name: n.Path}, nil
	}
	return m, err
}

// Source is the Source, for a Set, of the map that mapName says.
func (r Registry) Source(name, mapName string) (Source, error) {
	n, err := ParseName(mapName, "")
	if err != nil {
		return Source{}, err
	}
	e, err := r.Engine(n.Class)
	if err != nil {
		return Source{}, err
	}
	load := func(ctx context.Context) (mtakit.Table, error) {
		m, err := r.open(ctx, n, OpenOptions{NUL: n.NUL, Fixed: true})
		if err != nil {
			return nil, err
		}
		return m, nil
	}
	return Source{Name: name, Load: load, Files: []string{e.Path(n.Path)}}, nil
}

// Engine returns the engine of a class, or an error that is ErrUnknownClass and lists the known ones.
func (r Registry) Engine(class string) (Engine, error) {
	e, ok := r[class]
	if !ok {
		known := strings.Join(slices.Sorted(maps.Keys(r)), ", ")
		return e, fmt.Errorf("%w %q (known: %s)", ErrUnknownClass, class, known)
	}
	return e, nil
}

// TextEngine is the engine for texts read with g; nil means makemap's own grammar. A text with a bad line is not opened: the
// error lists all of them.
func TextEngine(g *Grammar) Engine {
	return Engine{
		Open: func(_ context.Context, path string, _ OpenOptions) (Map, error) {
			t, err := Load(path, g)
			if err != nil {
				return nil, err
			}
			return t, nil
		},
		NewBuilder: func(o BuildOptions) (Builder, error) { return newTextBuilder(o), nil },
	}
}

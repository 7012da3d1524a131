package bdb

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"slices"

	"github.com/mtakit/mtakit/table"
	"github.com/mtakit/mtakit/table/internal/recstore"
)

// Builder collects records and writes a file. It is a table.Builder.
type Builder struct {
	recs     *recstore.Store
	btree    bool
	nul      bool
	dups     bool
	pageSize int
}

// NewHashBuilder starts an empty hash file.
func NewHashBuilder(o table.BuildOptions) (*Builder, error) { return newBuilder(o, false) }

// NewBtreeBuilder starts an empty btree file.
func NewBtreeBuilder(o table.BuildOptions) (*Builder, error) { return newBuilder(o, true) }

func newBuilder(o table.BuildOptions, btree bool) (*Builder, error) {
	if o.PageSize == 0 {
		o.PageSize = 4096
	}
	if o.PageSize < minPageSize || o.PageSize > maxPageSize || o.PageSize&(o.PageSize-1) != 0 {
		return nil, fmt.Errorf("page size %d is no power of two from %d to %d", o.PageSize, minPageSize, maxPageSize)
	}
	b := &Builder{btree: btree, nul: o.NUL == table.NULAlways, dups: o.Duplicates == table.KeepAll, pageSize: o.PageSize}
	b.recs = recstore.New(recstore.Options{Duplicates: o.Duplicates, NUL: b.nul, Group: true})
	return b, nil
}

// Put adds a record.
func (b *Builder) Put(key, value []byte) error {
	if uint64(len(key)) >= math.MaxUint32 || uint64(len(value)) >= math.MaxUint32 {
		return fmt.Errorf("berkeley db record: %w: more than 4 GiB", table.ErrTooLarge)
	}
	return b.recs.Put(b.hash(key), key, value)
}

// Has reports whether a record with this key was put.
func (b *Builder) Has(key []byte) bool { return b.recs.Has(b.hash(key), key) }

func (b *Builder) hash(key []byte) uint32 {
	h := hash(key)
	if b.nul {
		h *= 16777619 // the NUL is part of the key
	}
	return h
}

// Len returns the number of records that will be written.
func (b *Builder) Len() int { return b.recs.Len() }

// WriteTo writes the file from front to back. The Builder is of no use afterwards.
func (b *Builder) WriteTo(w io.Writer) (int64, error) {
	b.recs.Seal()
	out := &pageWriter{recs: b.recs, dups: b.dups, ps: b.pageSize, w: w, out: make([]byte, 0, segmentSize)}
	var err error
	if b.btree {
		err = out.writeBtree()
	} else {
		err = out.writeHash()
	}
	if err == nil {
		err = out.flush()
	}
	b.recs = nil
	return int64(out.no) * int64(b.pageSize), err
}

// pageWriter writes pages one after the other.
type pageWriter struct {
	recs *recstore.Store
	dups bool
	ps   int
	w    io.Writer // nil keeps everything in out
	out  []byte    // finished pages that are not written yet
	buf  []byte    // the page that is being made, behind them
	no   uint32    // its number

	// Items too large for a page are written behind the pages that refer to them: appendix is the number of the first page
	// that is not given away, long what stands there, in order.
	appendix uint32
	long     []longItem
	n, free  int // of buf: entries so far and offset of the lowest item
}

// longItem is what stands on pages of its own: a key, a value, or the values of a key.
type longItem struct {
	rec  recstore.Ref
	what longKind
	set  []recstore.Ref // longSet: the records whose values these are
}

type longKind int

const (
	longKey longKind = iota
	longValue
	longSet
)

// room is the number of bytes for index and items on a page.
func (w *pageWriter) room() int { return w.ps - headerSize }

// begin starts a page.
func (w *pageWriter) begin(kind, level byte, prev, next uint32) {
	b := w.fresh()
	binary.LittleEndian.PutUint32(b[4:], 1)
	binary.LittleEndian.PutUint32(b[8:], w.no)
	binary.LittleEndian.PutUint32(b[12:], prev)
	binary.LittleEndian.PutUint32(b[16:], next)
	b[24], b[25] = level, kind
	w.n, w.free = 0, w.ps
}

// item makes room for an item of the given length and enters it in the index.
func (w *pageWriter) item(length int) []byte {
	w.free -= length
	w.entry(w.free)
	return w.buf[w.free : w.free+length]
}

// entry adds an offset to the index.
func (w *pageWriter) entry(off int) {
	binary.LittleEndian.PutUint16(w.buf[headerSize+2*w.n:], uint16(off))
	w.n++
}

// end finishes the page and writes it.
func (w *pageWriter) end() error {
	binary.LittleEndian.PutUint16(w.buf[20:], uint16(w.n))
	binary.LittleEndian.PutUint16(w.buf[22:], uint16(w.free)) // 65536 becomes 0, as it has to
	return w.done()
}

// fresh takes room for a page.
func (w *pageWriter) fresh() []byte {
	n := len(w.out)
	w.out = slices.Grow(w.out, w.ps)
	w.buf = w.out[n : n+w.ps]
	clear(w.buf)
	return w.buf
}

// done takes the page that was made.
func (w *pageWriter) done() error {
	if w.no == math.MaxUint32 {
		return fmt.Errorf("berkeley db file: %w: more than 2^32 pages", table.ErrTooLarge)
	}
	w.no++
	w.out = w.out[:len(w.out)+w.ps]
	if w.w == nil || len(w.out)+w.ps <= cap(w.out) {
		return nil
	}
	return w.flush()
}

// flush writes the finished pages.
func (w *pageWriter) flush() error {
	_, err := w.w.Write(w.out)
	w.out = w.out[:0]
	return err
}

// meta fills the part of page 0 that both access methods have.
func (w *pageWriter) meta(magic uint32, kind byte, flags, last uint32) []byte {
	b := w.fresh()
	le := binary.LittleEndian
	le.PutUint32(b[4:], 1)
	le.PutUint32(b[12:], magic)
	le.PutUint32(b[16:], 9)
	le.PutUint32(b[20:], uint32(w.ps))
	b[25] = kind
	le.PutUint32(b[32:], last)
	le.PutUint32(b[48:], flags)
	_, _ = rand.Read(b[52:72]) // never fails; the identity of the file in a shared cache
	return b
}

// give reserves pages of the appendix for a long item and returns the number of the page to refer to.
func (w *pageWriter) give(it longItem) uint32 {
	first := w.appendix
	n := w.longPages(it)
	w.appendix += n
	w.long = append(w.long, it)
	if it.what == longSet {
		return w.treeRoot(it.set, first)
	}
	return first
}

// longPages is the number of pages that a long item takes.
func (w *pageWriter) longPages(it longItem) uint32 {
	key, value := w.recs.At(it.rec)
	switch it.what {
	case longKey:
		return w.chainPages(len(key))
	case longValue:
		return w.chainPages(len(value))
	}
	return w.setPages(it.set)
}

// chainPages is the number of overflow pages for so many bytes.
func (w *pageWriter) chainPages(n int) uint32 { return max(1, uint32((n+w.room()-1)/w.room())) }

// writeLong writes the appendix, up to the page whose number is w.appendix.
func (w *pageWriter) writeLong() error {
	for len(w.long) > 0 {
		it := w.long[0]
		w.long = w.long[1:]
		key, value := w.recs.At(it.rec)
		var err error
		switch it.what {
		case longKey:
			err = w.writeChain(key)
		case longValue:
			err = w.writeChain(value)
		case longSet:
			err = w.writeSet(it.set)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// writeChain writes overflow pages.
func (w *pageWriter) writeChain(b []byte) error {
	prev := uint32(0)
	for first := true; first || len(b) > 0; first = false {
		n := min(len(b), w.room())
		next := uint32(0)
		if n < len(b) {
			next = w.no + 1
		}
		w.begin(typeOverflow, 0, prev, next)
		copy(w.buf[headerSize:], b[:n])
		binary.LittleEndian.PutUint16(w.buf[20:], 1) // references
		binary.LittleEndian.PutUint16(w.buf[22:], uint16(n))
		prev, b = w.no, b[n:]
		if err := w.done(); err != nil {
			return err
		}
	}
	return nil
}

// values lists the records with the key of head, itself included.
func (w *pageWriter) values(head recstore.Ref) []recstore.Ref {
	return append([]recstore.Ref{head}, w.recs.More(head)...)
}

// Hash is the engine of hash files. They end in ".db"; without options keys and values carry no trailing NUL.
func Hash() table.Engine { return engine(NewHashBuilder) }

// Btree is the engine of btree files.
func Btree() table.Engine { return engine(NewBtreeBuilder) }

func engine(build func(table.BuildOptions) (*Builder, error)) table.Engine {
	return table.Engine{
		Suffix: ".db",
		Open: func(ctx context.Context, path string, o table.OpenOptions) (table.Map, error) {
			f, err := Open(ctx, path, o)
			if err != nil {
				return nil, err
			}
			return f, nil
		},
		NewBuilder: func(o table.BuildOptions) (table.Builder, error) { return build(o) },
		Verify: func(r io.ReaderAt, size int64, name string) (int64, error) {
			f, err := NewReader(r, size, name)
			if err != nil {
				return 0, err
			}
			return f.Verify()
		},
	}
}

package bdb

import (
	"bytes"
	"errors"
	"io"
	"iter"

	"github.com/mtakit/mtakit/table"
	"github.com/mtakit/mtakit/table/internal/mapfile"
)

// Reader reads a Berkeley DB file that does not change. It is safe for concurrent use when its io.ReaderAt is.
type Reader struct {
	name  string
	size  int64
	src   mapfile.Source
	swap  bool // the file has the other byte order than little-endian
	meta  Meta
	pages seenPages // of a hash file
	// budget, when not nil, is the number of pages that a walk may still read. No page of a sound file is met twice, so
	// that damage cannot make a walk longer than the file.
	budget *int64
	strict bool // walks check the order of keys, too
}

// limited returns a Reader for one walk.
func (r *Reader) limited() *Reader {
	w := *r
	left := int64(r.meta.LastPage)
	w.budget = &left
	return &w
}

// NewReader reads a file of the given size; name appears in errors. It looks at the metadata page only.
func NewReader(f io.ReaderAt, size int64, name string) (*Reader, error) {
	return newReader(mapfile.Positional{R: f}, size, name)
}

func newReader(src mapfile.Source, size int64, name string) (*Reader, error) {
	r := &Reader{name: name, size: size, src: src}
	if err := r.parseMeta(); err != nil {
		return nil, err
	}
	if r.meta.Type == "hash" {
		r.pages = newSeenPages(&r.meta)
	}
	return r, nil
}

// Meta returns what the metadata page says.
func (r *Reader) Meta() Meta { return r.meta }

// Lookup returns the value of exactly this key, of several the first; a trailing NUL is part of both. The value must not be
// changed. Damage that the search meets is a *table.FormatError.
func (r *Reader) Lookup(key []byte) (value []byte, ok bool, err error) {
	if r.meta.Type == "hash" {
		return r.lookupHash(key)
	}
	return r.lookupBtree(key)
}

// All yields every record as stored, duplicates included: a hash file bucket by bucket, a btree in key order. Each step
// needs memory for some pages and for one record. Damage ends the sequence with a *table.FormatError.
func (r *Reader) All() iter.Seq2[table.Record, error] {
	return func(yield func(table.Record, error) bool) {
		emit := func(key, value []byte) bool {
			return yield(table.Record{Key: string(key), Value: string(value)}, nil)
		}
		var err error
		if r.meta.Type == "hash" {
			err = r.limited().walkHash(emit)
		} else {
			err = r.limited().walkBtree(emit)
		}
		if err != nil && !errors.Is(err, errStop) {
			yield(table.Record{}, err)
		}
	}
}

// Verify reads everything and returns the number of records. Besides what All checks it makes sure of the order of keys on
// hash pages, without which libdb does not find them.
func (r *Reader) Verify() (records int64, err error) {
	w := r.limited()
	w.strict = true
	count := func(_, _ []byte) bool {
		records++
		return true
	}
	if r.meta.Type == "hash" {
		err = w.walkHash(count)
	} else {
		err = w.walkBtree(count)
	}
	return records, err
}

// errStop ends a walk whose consumer has had enough.
var errStop = errors.New("stop")

// page is one page with its checked header.
type page struct {
	no   uint32
	b    []byte
	kind byte
	n    int // entries of the index
	next uint32
	at   int // where the index begins
	zero bool
}

// page reads a page and checks number, checksum and index size. A hash page that was never written is all zero: it is
// returned as an empty page when zeroOK.
func (r *Reader) page(no uint32, zeroOK bool) (p page, err error) {
	if no == 0 || no > r.meta.LastPage {
		return p, r.fault(table.ErrCorrupt, no, 0, "page number out of range 1 to %d", r.meta.LastPage)
	}
	if r.budget != nil {
		if *r.budget--; *r.budget < 0 {
			return p, r.fault(table.ErrCorrupt, no, 0, "pages are used more than once")
		}
	}
	b, err := r.src.Read(int64(no)*int64(r.meta.PageSize), r.meta.PageSize)
	if err != nil {
		return p, err
	}
	p = page{no: no, b: b, kind: b[25], n: int(r.u16(b[20:])), next: r.u32(b[16:]), at: headerSize}
	if p.kind == typeFree && zeroOK && allZero(b) {
		p.zero = true
		return p, nil
	}
	if got := r.u32(b[8:]); got != no {
		return p, r.fault(table.ErrCorrupt, no, 8, "page has number %d", got)
	}
	if r.meta.Checksum {
		p.at = headerSizeSum
		if sum, want := checksum(b, checksumAt), r.u32(b[checksumAt:]); sum != want {
			return p, r.fault(table.ErrCorrupt, no, checksumAt, "checksum %#x, want %#x", sum, want)
		}
	}
	if p.kind != typeOverflow && p.at+2*p.n > len(b) {
		return p, r.fault(table.ErrCorrupt, no, 20, "%d entries do not fit the page", p.n)
	}
	return p, nil
}

func allZero(b []byte) bool {
	for len(b) > 0 && b[0] == 0 {
		b = b[1:]
	}
	return len(b) == 0
}

// offset returns entry i of the index of p.
func (r *Reader) offset(p *page, i int) int { return int(r.u16(p.b[p.at+2*i:])) }

// overflow collects an item of the given length from the chain that begins at page no. With want it compares instead and
// returns only whether the item equals want.
func (r *Reader) overflow(no uint32, length int64, want []byte, compare bool) (data []byte, equal bool, err error) {
	if length > r.size {
		return nil, false, r.fault(table.ErrCorrupt, no, 0, "item of %d bytes in a file of %d", length, r.size)
	}
	rest := length
	prev := uint32(0)
	for first := true; rest > 0 || first; first = false {
		p, err := r.page(no, false)
		if err != nil {
			return nil, false, err
		}
		if p.kind != typeOverflow {
			return nil, false, r.fault(table.ErrCorrupt, no, 25, "page type %d in an overflow chain", p.kind)
		}
		if got := r.u32(p.b[12:]); got != prev {
			return nil, false, r.fault(table.ErrCorrupt, no, 12, "previous page is %d, want %d", got, prev)
		}
		n := int64(r.u16(p.b[22:]))
		if n > int64(len(p.b)-p.at) || n > rest || n == 0 && rest > 0 {
			return nil, false, r.fault(table.ErrCorrupt, no, 22, "%d bytes on an overflow page, %d missing", n, rest)
		}
		part := p.b[p.at : p.at+int(n)]
		if compare {
			if !bytes.Equal(part, want[length-rest:length-rest+n]) {
				return nil, false, nil
			}
		} else {
			data = append(data, part...)
		}
		rest -= n
		if rest > 0 && p.next == 0 {
			return nil, false, r.fault(table.ErrCorrupt, no, 16, "overflow chain ends with %d bytes missing", rest)
		}
		prev, no = no, p.next
	}
	if no != 0 {
		return nil, false, r.fault(table.ErrCorrupt, prev, 16, "overflow chain goes on behind its end")
	}
	return data, true, nil
}

package cdb

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"iter"

	"github.com/mtakit/mtakit/table"
	"github.com/mtakit/mtakit/table/internal/mapfile"
)

const (
	headerSize = 2048
	tables     = 256
)

// hash is the function of the format.
func hash(key []byte) uint32 {
	h := uint32(5381)
	for _, c := range key {
		h = (h<<5 + h) ^ uint32(c)
	}
	return h
}

// Reader reads a file that does not change. It is safe for concurrent use when its io.ReaderAt is.
type Reader struct {
	name string
	size int64
	src  mapfile.Source
	f    io.ReaderAt // for walks
	tab  [tables]slots
}

// slots says where a table is.
type slots struct{ pos, n uint32 }

// NewReader reads a file of the given size; name appears in errors. It looks at the header only.
func NewReader(f io.ReaderAt, size int64, name string) (*Reader, error) {
	return newReader(mapfile.Positional{R: f}, f, size, name)
}

func newReader(src mapfile.Source, f io.ReaderAt, size int64, name string) (*Reader, error) {
	r := &Reader{name: name, size: size, src: src, f: f}
	if size < headerSize {
		return nil, r.fault(table.ErrTruncated, 0, "%d bytes, the header alone has %d", size, headerSize)
	}
	b, err := src.Read(0, headerSize)
	if err != nil {
		return nil, err
	}
	for i := range r.tab {
		r.tab[i] = slots{binary.LittleEndian.Uint32(b[8*i:]), binary.LittleEndian.Uint32(b[8*i+4:])}
	}
	if end := r.end(); end < headerSize || end > size {
		return nil, r.fault(table.ErrTruncated, 0, "records end at %d, the file at %d", end, size)
	}
	return r, nil
}

// end is where the records end and the tables begin.
func (r *Reader) end() int64 { return int64(r.tab[0].pos) }

// checkTable reports a table that is not where a table can be.
func (r *Reader) checkTable(i int) error {
	t := r.tab[i]
	switch end := int64(t.pos) + 8*int64(t.n); {
	case t.n == 0:
		return nil // the position of an empty table means nothing
	case t.pos < headerSize:
		return r.fault(table.ErrCorrupt, int64(8*i), "table %d begins at %d, inside the header", i, t.pos)
	case int64(t.pos) >= r.size || end > r.size:
		kind := table.ErrCorrupt
		if r.contiguous(i) {
			kind = table.ErrTruncated
		}
		return r.fault(kind, int64(8*i), "table %d ends at %d, the file at %d", i, end, r.size)
	}
	return nil
}

// contiguous reports whether tables 0 to i follow each other as writers lay them out: then it is the file that is short.
func (r *Reader) contiguous(i int) bool {
	pos := r.end()
	for _, t := range r.tab[:i+1] {
		if int64(t.pos) != pos {
			return false
		}
		pos += 8 * int64(t.n)
	}
	return pos <= maxSize && pos-r.end() <= 16*(r.end()-headerSize)/8
}

// Lookup returns the value of exactly this key, of several the first; a trailing NUL is part of both. The value must not be
// changed.
func (r *Reader) Lookup(key []byte) (value []byte, ok bool, err error) {
	h := hash(key)
	i := int(h % tables)
	t := r.tab[i]
	if t.n == 0 {
		return nil, false, nil
	}
	if err := r.checkTable(i); err != nil {
		return nil, false, err
	}
	slot := h >> 8 % t.n
	for range t.n {
		at := int64(t.pos) + 8*int64(slot)
		b, err := r.src.Read(at, 8)
		if err != nil {
			return nil, false, err
		}
		pos := binary.LittleEndian.Uint32(b[4:])
		if pos == 0 {
			return nil, false, nil
		}
		if binary.LittleEndian.Uint32(b) == h {
			k, v, err := r.record(int64(pos), at)
			if err != nil {
				return nil, false, err
			}
			if bytes.Equal(k, key) {
				return v, true, nil
			}
		}
		if slot++; slot == t.n {
			slot = 0
		}
	}
	return nil, false, nil
}

// record reads the record at pos; from is where the position was found.
func (r *Reader) record(pos, from int64) (key, value []byte, err error) {
	if pos < headerSize || pos+8 > r.size {
		return nil, nil, r.fault(table.ErrCorrupt, from, "record position %d outside the file", pos)
	}
	b, err := r.src.Read(pos, 8)
	if err != nil {
		return nil, nil, err
	}
	kn, vn := int64(binary.LittleEndian.Uint32(b)), int64(binary.LittleEndian.Uint32(b[4:]))
	if pos+8+kn+vn > r.size {
		return nil, nil, r.fault(table.ErrCorrupt, pos, "record of %d and %d bytes goes past the end %d", kn, vn, r.size)
	}
	if b, err = r.src.Read(pos+8, int(kn+vn)); err != nil {
		return nil, nil, err
	}
	return b[:kn], b[kn:], nil
}

// All yields every record as stored, in the order of the file. Damage ends the sequence with a *table.FormatError. The tables
// are not looked at; see Verify.
func (r *Reader) All() iter.Seq2[table.Record, error] {
	return func(yield func(table.Record, error) bool) {
		err := r.walk(func(_ int64, key, value []byte) bool {
			return yield(table.Record{Key: string(key), Value: string(value)}, nil)
		})
		if err != nil && !errors.Is(err, errStop) {
			yield(table.Record{}, err)
		}
	}
}

// errStop ends a walk whose consumer has had enough.
var errStop = errors.New("stop")

// walk yields position, key and value of all records; the slices are valid during the call.
func (r *Reader) walk(yield func(pos int64, key, value []byte) bool) error {
	end := r.end()
	in := bufio.NewReaderSize(io.NewSectionReader(r.f, headerSize, end-headerSize), 256<<10)
	var buf []byte
	var head [8]byte
	for pos := int64(headerSize); pos < end; {
		if pos+8 > end {
			return r.fault(table.ErrCorrupt, pos, "record does not end where the tables begin, at %d", end)
		}
		if _, err := io.ReadFull(in, head[:]); err != nil {
			return r.readFault(pos, err)
		}
		kn, vn := int64(binary.LittleEndian.Uint32(head[:])), int64(binary.LittleEndian.Uint32(head[4:]))
		if pos+8+kn+vn > end {
			return r.fault(table.ErrCorrupt, pos, "record of %d and %d bytes goes past the tables at %d", kn, vn, end)
		}
		if n := int(kn + vn); n > cap(buf) {
			buf = make([]byte, n)
		}
		buf = buf[:kn+vn]
		if _, err := io.ReadFull(in, buf); err != nil {
			return r.readFault(pos, err)
		}
		if !yield(pos, buf[:kn:kn], buf[kn:]) {
			return errStop
		}
		pos += 8 + kn + vn
	}
	return nil
}

// readFault words an error of reading: an early end means that the file is shorter than it was.
func (r *Reader) readFault(pos int64, err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return r.fault(table.ErrTruncated, pos, "the file ends inside a record")
	}
	return err
}

// Verify reads the whole file, records and tables, checks that every record can be found, and returns their number. It needs
// memory for one table.
func (r *Reader) Verify() (records int64, err error) {
	var want [tables]tableSum
	err = r.walk(func(pos int64, key, _ []byte) bool {
		records++
		h := hash(key)
		want[h%tables].add(h, uint32(pos))
		return true
	})
	if err != nil {
		return records, err
	}
	for i := range r.tab {
		got, err := r.verifyTable(i)
		if err != nil {
			return records, err
		}
		if got != want[i] {
			return records, r.fault(table.ErrCorrupt, int64(8*i), "table %d leads to other records than there are", i)
		}
	}
	return records, nil
}

// tableSum stands for the set of slots in a table, whatever their order.
type tableSum struct{ n, sum uint64 }

func (s *tableSum) add(hash, pos uint32) {
	x := uint64(hash)<<32 | uint64(pos)
	x = (x ^ x>>31) * 0x9e3779b97f4a7c15
	s.n++
	s.sum += x ^ x>>29
}

// verifyTable checks that the search for every slot in use ends there, and sums them up.
func (r *Reader) verifyTable(i int) (sum tableSum, err error) {
	t := r.tab[i]
	if t.n == 0 {
		return sum, nil
	}
	if err := r.checkTable(i); err != nil {
		return sum, err
	}
	b, err := r.src.Read(int64(t.pos), 8*int(t.n))
	if err != nil {
		return sum, err
	}
	used := func(s uint32) bool { return binary.LittleEndian.Uint32(b[8*s+4:]) != 0 }
	free := uint32(0) // some slot that is not in use, if there is one
	for free < t.n && used(free) {
		free++
	}
	// Going round from there, since is how many slots in use lie directly before the present one.
	since := uint32(0)
	for k := range t.n {
		s := (free%t.n + k) % t.n
		if !used(s) {
			since = 0
			continue
		}
		h := binary.LittleEndian.Uint32(b[8*s:])
		home := h >> 8 % t.n
		if distance := (s + t.n - home) % t.n; distance > since && free < t.n || h%tables != uint32(i) {
			return sum, r.fault(table.ErrCorrupt, int64(t.pos)+8*int64(s), "no search of table %d ends at slot %d", i, s)
		}
		sum.add(h, binary.LittleEndian.Uint32(b[8*s+4:]))
		since++
	}
	return sum, nil
}

func (r *Reader) fault(kind error, off int64, format string, args ...any) error {
	return &table.FormatError{File: r.name, Page: -1, Offset: off, Kind: kind, Reason: fmt.Sprintf(format, args...)}
}

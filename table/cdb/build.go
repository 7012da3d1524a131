package cdb

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"io"

	"github.com/mtakit/mtakit/table"
	"github.com/mtakit/mtakit/table/internal/recstore"
)

// maxSize is the limit of the format.
const maxSize = 1<<32 - 1

// Builder collects records and writes a file. It is a table.Builder.
type Builder struct {
	recs *recstore.Store
	nul  int
	size int64 // of the file as it stands
}

// NewBuilder starts an empty file.
func NewBuilder(o table.BuildOptions) *Builder {
	b := &Builder{recs: recstore.New(recstore.Options{Duplicates: o.Duplicates, NUL: o.NUL == table.NULAlways}), size: headerSize}
	if o.NUL == table.NULAlways {
		b.nul = 1
	}
	return b
}

// Put adds a record. An error that is table.ErrTooLarge means that the file would reach 4 GiB.
func (b *Builder) Put(key, value []byte) error {
	size := 8 + int64(len(key)) + int64(len(value)) + 2*int64(b.nul) + 16 // 16: its two slots
	if b.size+size > maxSize {
		return fmt.Errorf("cdb file: %w: more than 4 GiB", table.ErrTooLarge)
	}
	h := hash(key)
	if b.nul != 0 {
		h = h<<5 + h // a NUL byte changes no bit
	}
	if err := b.recs.Put(h, key, value); err != nil {
		return err
	}
	b.size += size
	return nil
}

// Len returns the number of records that will be written.
func (b *Builder) Len() int { return b.recs.Len() }

// WriteTo writes the file from front to back. The Builder is of no use afterwards.
func (b *Builder) WriteTo(w io.Writer) (int64, error) {
	b.recs.Seal()
	out := &countingWriter{w: bufio.NewWriterSize(w, 1<<20)}
	var head [headerSize]byte
	var start [tables + 1]uint32 // where the slots of each table's records begin in the sorted list
	end := int64(headerSize)
	for i := range b.recs.Slots() {
		if !b.recs.Live(i) {
			continue
		}
		k, v := b.recs.At(b.recs.Ref(i))
		end += 8 + int64(len(k)) + int64(len(v))
		start[b.recs.Hash(i)%tables+1]++
	}
	pos := end
	for i := range tables {
		n := start[i+1] * 2
		binary.LittleEndian.PutUint32(head[8*i:], uint32(pos))
		binary.LittleEndian.PutUint32(head[8*i+4:], n)
		pos += 8 * int64(n)
		start[i+1] += start[i]
	}
	out.write(head[:])
	sorted := b.writeRecords(out, start)
	for i := range tables {
		out.write(slotTable(sorted[start[i]:start[i+1]]))
	}
	if out.err == nil {
		out.err = out.w.Flush()
	}
	b.recs = nil
	return out.n, out.err
}

// slot is one entry of a table.
type slot struct{ hash, pos uint32 }

// writeRecords writes the records in the order of input and returns their slots, table by table.
func (b *Builder) writeRecords(out *countingWriter, start [tables + 1]uint32) []slot {
	sorted := make([]slot, b.recs.Len())
	var head [8]byte
	for i := range b.recs.Slots() {
		if !b.recs.Live(i) || out.err != nil {
			continue
		}
		h := b.recs.Hash(i)
		next := &start[h%tables]
		sorted[*next] = slot{h, uint32(out.n)}
		*next++
		k, v := b.recs.At(b.recs.Ref(i))
		binary.LittleEndian.PutUint32(head[:], uint32(len(k)))
		binary.LittleEndian.PutUint32(head[4:], uint32(len(v)))
		out.write(head[:])
		out.write(k)
		out.write(v)
	}
	return sorted
}

// slotTable lays out the table for these records.
func slotTable(recs []slot) []byte {
	n := uint32(2 * len(recs))
	tab := make([]byte, 8*n)
	for _, s := range recs {
		at := s.hash >> 8 % n
		for binary.LittleEndian.Uint32(tab[8*at+4:]) != 0 {
			if at++; at == n {
				at = 0
			}
		}
		binary.LittleEndian.PutUint32(tab[8*at:], s.hash)
		binary.LittleEndian.PutUint32(tab[8*at+4:], s.pos)
	}
	return tab
}

// countingWriter remembers the first error and counts bytes.
type countingWriter struct {
	w   *bufio.Writer
	n   int64
	err error
}

func (c *countingWriter) write(b []byte) {
	if c.err != nil {
		return
	}
	n, err := c.w.Write(b)
	c.n += int64(n)
	c.err = err
}

// Engine is the table.Engine of this format. The files of makemap and postmap end in ".cdb" and carry no trailing NUL.
func Engine() table.Engine {
	return table.Engine{
		Suffix: ".cdb",
		Open: func(ctx context.Context, path string, o table.OpenOptions) (table.Map, error) {
			f, err := Open(ctx, path, o)
			if err != nil {
				return nil, err
			}
			return f, nil
		},
		NewBuilder: func(o table.BuildOptions) (table.Builder, error) { return NewBuilder(o), nil },
		Verify: func(r io.ReaderAt, size int64, name string) (int64, error) {
			f, err := NewReader(r, size, name)
			if err != nil {
				return 0, err
			}
			return f.Verify()
		},
	}
}

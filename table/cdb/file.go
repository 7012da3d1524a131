package cdb

import (
	"bytes"
	"context"
	"iter"

	"github.com/mtakit/mtakit/table"
	"github.com/mtakit/mtakit/table/internal/mapfile"
)

// File is an open map file on disk. It is a table.Map that follows the file, as those of package bdb do.
type File struct{ m *mapfile.Map[*Reader] }

// Open opens the file at path, which has to name the file exactly, suffix included.
func Open(ctx context.Context, path string, o table.OpenOptions) (*File, error) {
	m, err := mapfile.OpenMap(ctx, path, o, inMemory, NewReader)
	if err != nil {
		return nil, err
	}
	return &File{m}, nil
}

// inMemory makes a Reader of a whole file.
func inMemory(data []byte, name string) (*Reader, error) {
	return newReader(mapfile.Memory(data), bytes.NewReader(data), int64(len(data)), name)
}

// Close releases the file.
func (f *File) Close() error { return f.m.Close() }

// Lookup returns the value of key; of several the first. Unless the options fix the form, it tries key with and
// without a trailing NUL, the form of the last hit first. One trailing NUL of the value is dropped.
func (f *File) Lookup(ctx context.Context, key string) (value string, ok bool, err error) {
	return f.m.Lookup(ctx, key)
}

// All yields every record as stored, trailing NUL included, in the order of Reader.All. A file that is rewritten in place
// meanwhile gives an error that is table.ErrChanged.
func (f *File) All() iter.Seq2[table.Record, error] { return f.m.All() }

package mapfile

import (
	"errors"
	"io"
)

// Source yields parts of a file. What it returns must not be changed.
type Source interface {
	Read(off int64, n int) ([]byte, error)
}

// Memory is a file in memory, mapped or read.
type Memory []byte

// Read returns a part of m itself.
func (m Memory) Read(off int64, n int) ([]byte, error) {
	if off < 0 || off > int64(len(m)) || int64(n) > int64(len(m))-off {
		return nil, io.ErrUnexpectedEOF
	}
	return m[off : off+int64(n) : off+int64(n)], nil
}

// Positional is a file that is read anew each time.
type Positional struct{ R io.ReaderAt }

// Read returns a copy of its own.
func (s Positional) Read(off int64, n int) ([]byte, error) {
	b := make([]byte, n)
	k, err := s.R.ReadAt(b, off)
	if k == n {
		return b, nil
	}
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return nil, err
}

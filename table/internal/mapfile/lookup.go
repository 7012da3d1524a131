package mapfile

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/mtakit/mtakit/table"
)

// View is a format's view of a whole file.
type View interface {
	// Lookup finds exactly key. The value may be part of the mapping.
	Lookup(key []byte) (value []byte, ok bool, err error)
	All() iter.Seq2[table.Record, error]
}

// Map is a File together with the convention for the trailing NUL.
type Map[V View] struct {
	*File[V]
	nul     table.NUL
	withNUL atomic.Bool // the form that the last hit had
	open    func(r io.ReaderAt, size int64, name string) (V, error)
}

// OpenMap opens the map file at path. mem makes a view of a mapped file, and pos one of a file that is read by position.
func OpenMap[V View](ctx context.Context, path string, o table.OpenOptions,
	mem func(data []byte, name string) (V, error),
	pos func(r io.ReaderAt, size int64, name string) (V, error),
) (*Map[V], error) {
	f, err := Open(ctx, path, o, mem)
	if err != nil {
		return nil, err
	}
	m := &Map[V]{File: f, nul: o.NUL, open: pos}
	m.withNUL.Store(o.NUL == table.NULAlways)
	return m, nil
}

// Lookup returns the value of key without its trailing NUL. See table.NUL for the forms that are tried.
func (m *Map[V]) Lookup(ctx context.Context, key string) (value string, ok bool, err error) {
	if err := ctx.Err(); err != nil {
		return "", false, fmt.Errorf("look up in %s: %w", m.path, err)
	}
	q, _ := questions.Get().(*question)
	if q == nil {
		q = new(question)
	}
	err = m.do(ctx, func(view V) (bool, error) {
		err := m.ask(view, q, key)
		return q.ok, err
	})
	value, ok = q.value, q.ok
	q.value = ""
	questions.Put(q)
	if err != nil {
		return "", false, err
	}
	return value, ok, nil
}

// question is the memory of a look-up.
type question struct {
	key   []byte
	value string
	ok    bool
}

var questions sync.Pool // of *question

// ask looks key up in one view.
func (m *Map[V]) ask(view V, q *question, key string) error {
	form, both := m.withNUL.Load(), m.nul == table.NULAuto
	if both && strings.HasSuffix(key, "\x00") {
		form, both = true, false // without another NUL it would be the key of a shorter one
	}
	q.key = terminated(q.key[:0], key, form)
	v, found, err := view.Lookup(q.key)
	if !found && err == nil && both {
		q.key = terminated(q.key[:0], key, !form)
		v, found, err = view.Lookup(q.key)
		if found {
			m.withNUL.Store(!form)
		}
	}
	if n := len(v); n > 0 && v[n-1] == 0 && m.nul != table.NULNever {
		v = v[:n-1]
	}
	q.value, q.ok = string(v), found
	return err
}

// terminated appends key to b, with a NUL when nul says so.
func terminated(b []byte, key string, nul bool) []byte {
	b = append(b, key...)
	if nul {
		b = append(b, 0)
	}
	return b
}

// All yields every record as stored. It reads by position, so that the content is copied before it is looked at.
func (m *Map[V]) All() iter.Seq2[table.Record, error] {
	return func(yield func(table.Record, error) bool) {
		err := m.Hold(func(r io.ReaderAt, size int64) error {
			view, err := m.open(r, size, m.path)
			if err != nil {
				return err
			}
			for rec, err := range view.All() {
				if err != nil {
					return err
				}
				if !yield(rec, nil) {
					return errStop
				}
			}
			return nil
		})
		if err != nil && !errors.Is(err, errStop) {
			yield(table.Record{}, err)
		}
	}
}

// errStop ends a listing whose consumer has had enough.
var errStop = errors.New("stop")

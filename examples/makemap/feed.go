package main

import (
	"context"
	"io"

	"github.com/mtakit/mtakit/table"
)

// record is a line of the source, taken apart: a key with its value, or what is wrong.
type record struct {
	line       int
	key, value int // where they begin in the text of the batch; a NUL follows each
	end        int // where the NUL of the value is
	err        error
}

// batch is some records. Their text is copied, so that the scanner can go on.
type batch struct {
	recs []record
	text []byte
}

// feed scans the source in a goroutine of its own, so that reading and storing take two processors.
type feed struct {
	ctx  context.Context
	src  io.Reader
	s    *table.Scanner
	out  chan *batch
	free chan *batch
	cur  *batch
	err  error // of the source, known when out is closed
}

// batches is how many batches there are.
const batches = 4

// newFeed starts to scan src. The goroutine ends with the source or with ctx; a read that is under way, which nobody can
// interrupt, ends with the program.
func newFeed(ctx context.Context, src io.Reader, name string, g *table.Grammar) *feed {
	f := &feed{ctx: ctx, src: src, out: make(chan *batch, batches), free: make(chan *batch, batches), cur: new(batch)}
	for range batches - 1 {
		f.free <- new(batch)
	}
	f.s = table.NewScanner(f, name, g)
	go f.scan()
	return f
}

// Read hands over what was scanned before it waits for more: a message about a line must not wait for the next one.
func (f *feed) Read(p []byte) (int, error) {
	if err := f.send(); err != nil {
		return 0, err
	}
	return f.src.Read(p)
}

func (f *feed) scan() {
	defer close(f.out)
	for f.s.Scan() {
		b := f.cur
		r := record{line: f.s.Line(), err: f.s.Err(), key: len(b.text)}
		b.text = append(append(b.text, f.s.Key()...), 0)
		r.value = len(b.text)
		b.text = append(append(b.text, f.s.Value()...), 0)
		r.end = len(b.text) - 1
		b.recs = append(b.recs, r)
	}
	f.err = f.s.ReadErr()
	if f.send() != nil {
		f.err = f.ctx.Err()
	}
}

// send hands the present batch over.
func (f *feed) send() error {
	if len(f.cur.recs) == 0 {
		return f.ctx.Err()
	}
	f.out <- f.cur // there is room for all of them
	select {
	case f.cur = <-f.free:
		f.cur.recs, f.cur.text = f.cur.recs[:0], f.cur.text[:0]
		return nil
	case <-f.ctx.Done():
		f.cur = new(batch)
		return f.ctx.Err()
	}
}

// next returns the next batch, nil at the end. The one before is used again.
func (f *feed) next(done *batch) (*batch, error) {
	if done != nil {
		f.free <- done
	}
	select {
	case b, ok := <-f.out:
		if !ok {
			return nil, f.err
		}
		return b, nil
	case <-f.ctx.Done():
		return nil, f.ctx.Err()
	}
}

// fields returns key and value of a record, each with its NUL when nul.
func (b *batch) fields(r *record, nul bool) (key, value []byte) {
	if nul {
		return b.text[r.key:r.value], b.text[r.value : r.end+1]
	}
	return b.text[r.key : r.value-1], b.text[r.value:r.end]
}

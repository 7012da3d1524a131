package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"syscall"
	"time"

	"github.com/mtakit/mtakit/examples/internal/progress"
	"github.com/mtakit/mtakit/internal/strerror"
	"github.com/mtakit/mtakit/table"
	"github.com/mtakit/mtakit/table/bdb"
)

// build reads the source and replaces the map, or adds to it.
func (c *command) build(ctx context.Context, engine table.Engine, path string, conf config) int {
	o := table.ReplaceOptions{Owner: conf.owner, LockWait: 10 * time.Minute}
	into := c.grammar.Duplicates
	var old table.Map
	if c.add {
		lock, err := table.LockFile(ctx, path, &o)
		if err != nil {
			return c.cannotOpen(err)
		}
		defer lock.Close()
		o.Lock = lock
		var meta bdb.Meta
		if old, meta, err = c.open(ctx, engine, path, table.OpenOptions{Locked: true, NUL: table.NULNever}); err != nil {
			return c.cannotOpen(err)
		}
		defer old.Close()
		if meta.Type == "btree" {
			engine = bdb.Btree() // also when the type is implicit
		}
		if meta.Duplicates {
			if into == table.KeepFirst {
				c.seen = make(map[string]bool)
			}
			into = table.KeepAll
		} else if into == table.KeepAll {
			return c.cannotOpen(syscall.EINVAL) // the file cannot become one with duplicates
		}
	}
	b, err := engine.NewBuilder(table.BuildOptions{Duplicates: into})
	if err != nil {
		return c.cannotOpen(err)
	}
	opened := false
	err = engine.InstallFrom(ctx, path, b, &o, func() error {
		opened = true
		return c.fill(ctx, b, old)
	})
	switch {
	case ctx.Err() != nil && errors.Is(err, ctx.Err()):
		fmt.Fprintf(c.stderr, "makemap: %s: interrupted, the map is as it was\n", c.name)
		return exIOErr
	case err != nil && !opened:
		return c.cannotOpen(err)
	case err != nil:
		fmt.Fprintf(c.stderr, "makemap: close(%s): %s\n", c.name, strerror.Text(err))
		return exIOErr
	}
	return c.exit
}

// fill puts the records of the old map, if any, and of the source into b.
func (c *command) fill(ctx context.Context, b table.Builder, old table.Map) error {
	if old != nil {
		for rec, err := range old.All() {
			if err != nil {
				return err
			}
			if err := b.Put([]byte(rec.Key), []byte(rec.Value)); err != nil {
				return err
			}
		}
	}
	p := progress.New(c.stderr, "makemap: "+c.name, progress.Size(c.stdin))
	defer p.Done()
	out := bufio.NewWriter(c.stdout)
	defer out.Flush()
	f := newFeed(ctx, p.Reader(c.stdin), c.name, &c.grammar)
	for part, err := f.next(nil); part != nil || err != nil; part, err = f.next(part) {
		if err != nil {
			return err
		}
		for i := range part.recs {
			c.put(ctx, b, old, part, &part.recs[i], out)
			p.Record()
		}
	}
	return nil
}

// put stores a record of the source, or complains about it.
func (c *command) put(ctx context.Context, b table.Builder, old table.Map, part *batch, r *record, out io.Writer) {
	if r.err != nil {
		c.complain(r.line, r.err)
		return
	}
	key, value := part.fields(r, false)
	if c.verbose {
		fmt.Fprintf(out, "key=`%s', val=`%s'\n", key, value)
	}
	if c.nul {
		key, value = part.fields(r, true)
	}
	err := c.checkSeen(ctx, old, key)
	if err == nil {
		err = b.Put(key, value)
	}
	if err == nil {
		return
	}
	name, _ := part.fields(r, false)
	switch {
	case errors.Is(err, table.ErrDuplicate) && c.class == "cdb":
		c.putError(r.line, name, table.ErrDuplicate) // the original has no other word for it there
	case errors.Is(err, table.ErrDuplicate):
		c.complain(r.line, table.DuplicateError(string(name)))
	default:
		c.putError(r.line, name, err)
	}
}

// checkSeen refuses a key that a map with duplicates has already, when new ones are not wanted.
func (c *command) checkSeen(ctx context.Context, old table.Map, key []byte) error {
	if c.seen == nil {
		return nil
	}
	_, ok, err := old.Lookup(ctx, string(key))
	if err != nil {
		return err
	}
	if ok || c.seen[string(key)] {
		return table.ErrDuplicate
	}
	c.seen[string(key)] = true
	return nil
}

// complain reports a bad line.
func (c *command) complain(line int, err error) {
	fmt.Fprintf(c.stderr, "makemap: %s: line %d: %v\n", c.name, line, err)
	c.exit = exDataErr
}

// putError reports a record that the map does not take.
func (c *command) putError(line int, key []byte, err error) {
	fmt.Fprintf(c.stderr, "makemap: %s: line %d: key %s: put error: %s\n", c.name, line, key, strerror.Text(err))
	c.exit = exIOErr
}

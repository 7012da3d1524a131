package queue

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"
)

// name is an entry that a directory scan found.
type name struct {
	sp     *spool
	letter byte
	id     ID
}

// letters are the first letters of the control files that can match a filter.
func (f *Filter) letters() string {
	if len(f.States) == 0 {
		return "q"
	}
	s := ""
	for _, st := range f.States {
		switch st {
		case Ready, Deferred:
			s += "q"
		case Held, Quarantined:
			s += "h"
		case Lost:
			s += "Q"
		}
	}
	return s
}

// scan lists the control files of a directory in the order the file system gives. Names that are too long for sendmail
// are not entries; they are returned apart.
func (d *Dir) scan(sp *spool, letters string) (out []name, tooLong []string, err error) {
	entries, err := d.fs.ReadDir(sp.qf)
	if err != nil {
		return nil, nil, fmt.Errorf("queue: %w: %w", ErrUnavailable, err)
	}
	for _, e := range entries {
		s := e.Name()
		if len(s) < 3 || s[1] != 'f' || strings.IndexByte(letters, s[0]) < 0 {
			continue
		}
		if n, ok := parseName(s); ok {
			n.sp = sp
			out = append(out, n)
		} else if len(s) > maxID+2 {
			tooLong = append(tooLong, s)
		}
	}
	return out, tooLong, nil
}

// parseName divides a file name into its letter and id.
func parseName(s string) (n name, ok bool) {
	if len(s) < 3 || s[1] != 'f' || !ValidID(ID(s[2:])) {
		return n, false
	}
	return name{letter: s[0], id: ID(s[2:])}, true
}

// Get returns one unit. See Store.
func (d *Dir) Get(ctx context.Context, id ID) (*Unit, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if !ValidID(id) {
		return nil, fmt.Errorf("%q: %w", id, ErrNotFound)
	}
	for _, sp := range d.spools {
		for _, letter := range []byte("qhQ") {
			e, err := d.read(sp, letter, id)
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			if err != nil && letter != 'Q' {
				return nil, storeError(id, err)
			}
			return e.unit, nil
		}
	}
	return nil, fmt.Errorf("%s: %w", id, ErrNotFound)
}

// List yields the units that match f. See Store. It reads several control files at a time and never a body.
func (d *Dir) List(ctx context.Context, f Filter) iter.Seq2[*Unit, error] {
	return func(yield func(*Unit, error) bool) {
		count := 0
		more := true
		for _, sp := range d.spools {
			names, _, err := d.scan(sp, f.letters())
			if err != nil {
				if !yield(nil, err) {
					return
				}
				continue
			}
			if len(f.IDs) > 0 {
				names = slices.DeleteFunc(names, func(n name) bool { return !slices.Contains(f.IDs, n.id) })
			}
			d.readAll(ctx, names, func(n name, e *entry, err error) bool {
				switch {
				case errors.Is(err, fs.ErrNotExist):
					return true // it went while we listed
				case err != nil && n.letter != 'Q':
					more = yield(nil, storeError(n.id, err))
					return more
				case n.letter == 'q' && e.unit.State > Deferred:
					return true // a q line in a file named qf: sendmail does not list it
				case !f.Match(e.unit, time.Now()):
					return true
				}
				count++
				more = yield(e.unit, nil) && (f.Limit == 0 || count < f.Limit)
				return more
			})
			if !more {
				return
			}
		}
		if err := ctx.Err(); err != nil {
			yield(nil, err)
		}
	}
}

// readAll reads entries in batches, each batch in parallel, and calls f for each in order. It stops when f returns false
// or ctx ends.
func (d *Dir) readAll(ctx context.Context, names []name, f func(name, *entry, error) bool) {
	const batch = 64
	type result struct {
		e   *entry
		err error
	}
	workers := min(4, runtime.GOMAXPROCS(0))
	for len(names) > 0 {
		if ctx.Err() != nil {
			return
		}
		part := names[:min(batch, len(names))]
		names = names[len(part):]
		res := make([]result, len(part))
		var wg sync.WaitGroup
		for w := range workers {
			wg.Go(func() {
				for i := w; i < len(part); i += workers {
					n := part[i]
					res[i].e, res[i].err = d.read(n.sp, n.letter, n.id)
				}
			})
		}
		wg.Wait()
		for i, r := range res {
			if !f(part[i], r.e, r.err) {
				return
			}
		}
	}
}

// Claim takes units. See Store. Without IDs it reads the whole directory each time; the Runner keeps the schedule
// in memory instead and asks for IDs.
func (d *Dir) Claim(ctx context.Context, req ClaimRequest) ([]Claim, error) {
	if len(req.IDs) > 0 {
		return d.claimIDs(ctx, req)
	}
	return d.claimDue(ctx, req)
}

func (d *Dir) claimIDs(ctx context.Context, req ClaimRequest) (out []Claim, err error) {
	for _, id := range req.IDs {
		if cerr := ctx.Err(); cerr != nil {
			for _, c := range out {
				c.Release()
			}
			return nil, cerr
		}
		c, cerr := d.find(id, req.Quarantined)
		err = errors.Join(err, cerr)
		if c != nil {
			out = append(out, c)
		}
	}
	return out, err
}

func (d *Dir) find(id ID, quarantined bool) (*dirClaim, error) {
	if !ValidID(id) {
		return nil, nil
	}
	for _, sp := range d.spools {
		c, err := d.take(sp, 'q', id)
		if c == nil && err == nil && quarantined {
			c, err = d.take(sp, 'h', id)
		}
		if c != nil || err != nil {
			return c, err
		}
	}
	return nil, nil
}

func (d *Dir) claimDue(ctx context.Context, req ClaimRequest) ([]Claim, error) {
	changed := make(chan struct{}, 1)
	stop := d.Notify(func(*Unit) {
		select {
		case changed <- struct{}{}:
		default:
		}
	})
	defer stop()
	deadline := time.Now().Add(req.Wait)
	for {
		now := time.Now()
		var due []*Unit
		next := deadline
		for u, err := range d.List(ctx, Filter{}) {
			switch {
			case err != nil:
				if ctx.Err() != nil {
					return nil, ctx.Err()
				}
			case u.Due.After(now):
				if u.Due.Before(next) {
					next = u.Due
				}
			default:
				due = append(due, u)
			}
		}
		slices.SortStableFunc(due, func(a, b *Unit) int { return cmp.Compare(a.Priority, b.Priority) })
		var out []Claim
		for _, u := range due {
			if len(out) >= max(1, req.Max) {
				break
			}
			c, err := d.find(u.ID, false)
			if c != nil && err == nil {
				out = append(out, c)
			}
		}
		if len(out) > 0 || !now.Before(deadline) {
			return out, nil
		}
		t := time.NewTimer(time.Until(next) + time.Millisecond)
		select {
		case <-ctx.Done():
			t.Stop()
			return nil, ctx.Err()
		case <-changed:
		case <-t.C:
		}
		t.Stop()
	}
}

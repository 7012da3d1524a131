package queue

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/mtakit/mtakit/internal/vfs"
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
	err = d.eachName(sp.qf, func(s string) bool {
		if len(s) < 3 || s[1] != 'f' || strings.IndexByte(letters, s[0]) < 0 {
			return true
		}
		if n, ok := parseName(s); ok {
			n.sp = sp
			out = append(out, n)
		} else if len(s) > maxID+2 {
			tooLong = append(tooLong, s)
		}
		return true
	})
	if err != nil {
		return nil, nil, fmt.Errorf("queue: %w: %w", ErrUnavailable, err)
	}
	return out, tooLong, nil
}

// eachName calls f for the names in a directory as the file system gives them, without waiting for the last one, until f
// returns false.
func (d *Dir) eachName(dir string, f func(string) bool) error {
	if d.fs != vfs.OS {
		entries, err := d.fs.ReadDir(dir)
		if err != nil {
			return err
		}
		for _, e := range entries {
			if !f(e.Name()) {
				return nil
			}
		}
		return nil
	}
	h, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer h.Close()
	for {
		names, err := h.Readdirnames(256)
		for _, s := range names {
			if !f(s) {
				return nil
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// found is a part of a directory, or the error that ended its reading.
type found struct {
	names []name
	err   error
}

// scanParts is scan in parts of a size that is good to read at a time: the first entries can be read while the directory
// is. It is read as fast as without, so that what other processes rename meanwhile has no more time to be missed. The
// channel is closed at the end; a caller that wants no more closes stop, and receives until it is.
func (d *Dir) scanParts(sp *spool, f *Filter, stop <-chan struct{}) <-chan found {
	const part = 64
	letters := f.letters()
	out := make(chan found, 4096) // 262,144 names
	go func() {
		defer close(out)
		var names []name
		send := func(p found) bool {
			select {
			case out <- p:
				return true
			case <-stop:
				return false
			}
		}
		err := d.eachName(sp.qf, func(s string) bool {
			if len(s) < 3 || strings.IndexByte(letters, s[0]) < 0 {
				return true
			}
			n, ok := parseName(s)
			if !ok || len(f.IDs) > 0 && !slices.Contains(f.IDs, n.id) {
				return true
			}
			n.sp = sp
			if names = append(names, n); len(names) < part {
				return true
			}
			ok = send(found{names: names})
			names = nil
			return ok
		})
		if len(names) > 0 {
			send(found{names: names})
		}
		if err != nil {
			send(found{err: fmt.Errorf("queue: %w: %w", ErrUnavailable, err)})
		}
	}()
	return out
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
			if err != nil && (e == nil || letter != 'Q') {
				return nil, storeError(id, err)
			}
			return e.unit, nil
		}
	}
	return nil, fmt.Errorf("%s: %w", id, ErrNotFound)
}

// List yields the units that match f. See Store. It reads several control files at a time and never a body, and yields the
// first units while the directory is still being read.
func (d *Dir) List(ctx context.Context, f Filter) iter.Seq2[*Unit, error] {
	return func(yield func(*Unit, error) bool) {
		count := 0
		for _, sp := range d.spools {
			if ctx.Err() != nil {
				break
			}
			if !d.listSpool(ctx, sp, &f, &count, yield) {
				return
			}
		}
		if err := ctx.Err(); err != nil {
			yield(nil, err)
		}
	}
}

// listSpool is List for one directory. It returns false when the caller wants no more.
func (d *Dir) listSpool(ctx context.Context, sp *spool, f *Filter, count *int, yield func(*Unit, error) bool) bool {
	stop := make(chan struct{})
	parts := d.scanParts(sp, f, stop)
	defer func() {
		close(stop)
		for range parts { // until the directory is closed
		}
	}()
	for part := range parts {
		if part.err != nil && !yield(nil, part.err) {
			return false
		}
		if ctx.Err() != nil {
			return true
		}
		for i, r := range d.readAll(part.names) {
			u, err := d.matches(part.names[i], r, f)
			if u == nil && err == nil {
				continue
			}
			if u != nil {
				*count++
			}
			if !yield(u, err) || f.Limit > 0 && *count >= f.Limit {
				return false
			}
		}
	}
	return true
}

// matches returns the unit that was read when it is one to list, or its error.
func (d *Dir) matches(n name, r readResult, f *Filter) (*Unit, error) {
	switch {
	case errors.Is(r.err, fs.ErrNotExist):
		return nil, nil // it went while we listed
	case r.err != nil && (r.e == nil || n.letter != 'Q'):
		return nil, storeError(n.id, r.err)
	case n.letter == 'q' && r.e.unit.State > Deferred:
		return nil, nil // a q line in a file named qf: sendmail does not list it
	case !f.Match(r.e.unit, time.Now()):
		return nil, nil
	}
	return r.e.unit, nil
}

// readResult is what reading one entry gave.
type readResult struct {
	e   *entry
	err error
}

// readAll reads entries in parallel.
func (d *Dir) readAll(names []name) []readResult {
	workers := min(4, runtime.GOMAXPROCS(0))
	res := make([]readResult, len(names))
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for i := w; i < len(names); i += workers {
				n := names[i]
				res[i].e, res[i].err = d.read(n.sp, n.letter, n.id)
			}
		})
	}
	wg.Wait()
	return res
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

// lookAgain is how often claimDue looks for what other processes did.
const lookAgain = time.Minute

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
		var errs []error
		next := deadline
		if soon := now.Add(lookAgain); soon.Before(next) {
			next = soon // what other processes do is not told
		}
		for u, err := range d.List(ctx, Filter{}) {
			switch {
			case err != nil:
				if ctx.Err() != nil {
					return nil, ctx.Err()
				}
				if !errors.Is(err, ErrDamaged) {
					errs = append(errs, err)
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
			switch {
			case c != nil:
				out = append(out, c)
			case err != nil && !errors.Is(err, ErrDamaged):
				errs = append(errs, err)
			}
		}
		switch {
		case len(out) > 0:
			return out, nil
		case !now.Before(deadline):
			return nil, errors.Join(errs...)
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

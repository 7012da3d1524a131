package queue

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"time"

	"github.com/mtakit/mtakit/internal/vfs"
)

// adminWorkers is how many units Admin changes at once. Each change waits for the disk, and those that wait share a sync.
const adminWorkers = 16

// Admin changes the units that match. See Store.
func (d *Dir) Admin(ctx context.Context, f Filter, a Action) (AdminResult, error) {
	workers := adminWorkers
	if a.Kind == ActionCall || d.fs != vfs.OS { // Do need not be fit for that, and tests stop after a number of operations
		workers = 1
	}
	var mu sync.Mutex
	var res AdminResult
	var errs []error
	units := make(chan *Unit)
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for u := range units {
				changed, err := d.adminOne(ctx, u, f, a)
				mu.Lock()
				switch {
				case err != nil:
					res.Failed++
					errs = append(errs, err)
				case changed:
					res.Changed++
				default:
					res.Busy++
				}
				if a.Progress != nil {
					a.Progress(u, err)
				}
				mu.Unlock()
			}
		})
	}
	seen := make(map[ID]bool) // what is changed gets a new file, which the listing may come upon, too
	for u, err := range d.List(ctx, f) {
		if err != nil {
			mu.Lock()
			errs = append(errs, err)
			mu.Unlock()
			continue
		}
		if !seen[u.ID] {
			seen[u.ID] = true
			units <- u
		}
	}
	close(units)
	wg.Wait()
	res.Matched = len(seen)
	return res, errors.Join(errs...)
}

// adminOne applies an action to one unit. It returns false when somebody else has the unit, or it changed so that it
// matches no more.
func (d *Dir) adminOne(ctx context.Context, u *Unit, f Filter, a Action) (bool, error) {
	if u.State == Lost {
		return d.adminLost(ctx, u, a)
	}
	cs, err := d.Claim(ctx, ClaimRequest{IDs: []ID{u.ID}, Quarantined: true})
	if err != nil || len(cs) == 0 {
		return false, err
	}
	c := cs[0]
	defer c.Release()
	if !f.Match(c.Unit(), time.Now()) {
		return false, nil
	}
	if a.Kind == ActionDelete {
		return true, d.Delete(ctx, c, a.Reason)
	}
	return true, a.apply(ctx, c)
}

// apply performs the action under a claim. It is what every Store's Admin comes down to.
func (a Action) apply(ctx context.Context, c Claim) error {
	switch a.Kind {
	case ActionHold:
		return c.Hold(ctx, Held, a.Reason)
	case ActionQuarantine:
		return c.Hold(ctx, Quarantined, a.Reason)
	case ActionRelease:
		if c.Unit().State < Held {
			return nil
		}
		return c.Hold(ctx, Ready, "")
	case ActionRetry:
		// Without a last attempt nothing has to be waited for, here and in sendmail.
		return c.Reschedule(ctx, time.Now(), func(u *Unit) { u.LastAttempt = time.Time{} })
	case ActionRequeue:
		return c.Reschedule(ctx, time.Time{}, func(u *Unit) {
			u.Attempts, u.LastAttempt, u.Status = 0, time.Time{}, ""
			u.Flags &^= FlagWarned
			for i := range u.Rcpts {
				u.Rcpts[i].Status = ""
			}
			u.Priority = Priority(u.Size(), u.Class, len(u.Rcpts))
		})
	case ActionRemove:
		return c.Complete(ctx)
	case ActionCall:
		return a.Do(ctx, c)
	}
	return fmt.Errorf("%s: unknown action %d", c.Unit().ID, a.Kind)
}

// adminLost handles damaged entries: they can be removed or deleted, and released once they were repaired.
func (d *Dir) adminLost(ctx context.Context, u *Unit, a Action) (bool, error) {
	if err := ctx.Err(); err != nil {
		return false, err
	}
	for _, sp := range d.spools {
		e, err := d.read(sp, 'Q', u.ID)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if e == nil {
			return false, storeError(u.ID, err)
		}
		lost := sp.file('Q', u.ID)
		switch {
		case a.Kind == ActionRemove:
			if err = d.fs.Remove(lost); err == nil {
				if err = d.fs.Remove(e.dataPath); errors.Is(err, fs.ErrNotExist) {
					err = nil
				}
			}
		case a.Kind == ActionDelete:
			err = d.toTrash(sp, 'Q', e.unit, e.dataPath, a.Reason, func() {})
		case a.Kind == ActionRelease && err == nil:
			letter := byte('q')
			if e.file.Quarantine != "" {
				letter = 'h'
			}
			if err = d.fs.Rename(lost, sp.file(letter, u.ID)); err == nil {
				err = errors.Join(d.syncDir(sp.qfSync), d.tellOf(ctx, u.ID))
			}
			return true, storeError(u.ID, err)
		case a.Kind == ActionRelease:
			return false, storeError(u.ID, err)
		default:
			return false, fmt.Errorf("%s: %w: only remove, delete and release apply", u.ID, ErrDamaged)
		}
		return true, storeError(u.ID, errors.Join(err, d.syncDir(sp.qfSync)))
	}
	return false, nil
}

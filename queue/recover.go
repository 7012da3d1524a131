package queue

import (
	"context"
	"errors"
	"time"
)

// RecoverResult counts what Recover did.
type RecoverResult struct {
	Orphans int // data files without control file, removed
	Temps   int // temporary control files without owner, removed
	Doubles int // normal control files removed beside a quarantined one
}

// tempAge is how old a temporary control file must be before it counts as left behind: its owner locks it at once
// after creating it, but not in the same instant.
const tempAge = time.Minute

// Recover removes what a crash can leave: temporary control files that nobody has locked, data files older than
// OrphanAge that no control file names, and a qf beside an hf, which is a quarantine or release that was cut short
// (quarantined wins). Nothing of a message that was acknowledged is touched. It may run at any time, beside
// everything else.
func (d *Dir) Recover(ctx context.Context) (RecoverResult, error) {
	var res RecoverResult
	var errs []error
	owned := make(map[ID]bool) // by a control file in any directory: d lines may point anywhere
	for _, sp := range d.spools {
		names, _, err := d.scan(sp, "qhtQT")
		errs = append(errs, err)
		deleted, err := d.deleted(sp)
		errs = append(errs, err)
		for _, n := range deleted {
			owned[n.id] = true
		}
		held := make(map[ID]bool)
		for _, n := range names {
			owned[n.id] = true
			if n.letter == 'h' {
				held[n.id] = true
			}
		}
		for _, n := range names {
			if err := ctx.Err(); err != nil {
				return res, err
			}
			switch {
			case n.letter == 't' && d.olderThan(sp.file('t', n.id), tempAge):
				if d.removeStale(sp.file('t', n.id), nil) == nil {
					res.Temps++
				}
			case n.letter == 'q' && held[n.id]:
				// A release that is finished by now has removed hf.
				if d.removeStale(sp.file('q', n.id), func() (bool, error) { return d.exists(sp.file('h', n.id)) }) == nil {
					res.Doubles++
				}
			}
		}
	}
	if err := errors.Join(errs...); err != nil {
		return res, err // whose the bodies are is not known
	}
	for _, sp := range d.spools {
		if err := d.removeOrphans(ctx, sp, owned, &res); err != nil {
			errs = append(errs, err)
		}
	}
	return res, errors.Join(errs...)
}

func (d *Dir) removeOrphans(ctx context.Context, sp *spool, owned map[ID]bool, res *RecoverResult) error {
	var orphans []ID
	err := d.eachName(sp.df, func(s string) bool {
		if len(s) > 2 && s[0] == 'd' {
			if n, ok := parseName(s); ok && !owned[n.id] {
				orphans = append(orphans, n.id)
			}
		}
		return true
	})
	if err != nil {
		return err
	}
	var errs []error
	for _, id := range orphans {
		if err := ctx.Err(); err != nil {
			return errors.Join(append(errs, err)...)
		}
		if !d.olderThan(sp.file('d', id), d.opts.OrphanAge) {
			continue
		}
		err := d.removeStale(sp.file('d', id), func() (bool, error) {
			has, err := d.hasControl(id) // it may have come while we looked
			return !has, err
		})
		if err == nil {
			res.Orphans++
		} else if !errors.Is(err, errInUse) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// hasControl reports whether there is a control file of any kind; an error means that it cannot be told.
func (d *Dir) hasControl(id ID) (bool, error) {
	for _, sp := range d.spools {
		for _, letter := range []byte("tqhQT") {
			if ok, err := d.exists(sp.file(letter, id)); ok || err != nil {
				return ok, err
			}
		}
	}
	return false, nil
}

// olderThan is false when there is no such file. The time of a rename does not count: a control file's modification
// time may lie in the future.
func (d *Dir) olderThan(path string, age time.Duration) bool {
	fi, err := d.fs.Lstat(path)
	return err == nil && time.Since(fi.ModTime()) > age
}

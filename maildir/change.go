package maildir

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/mtakit/mtakit/internal/vfs"
)

// TakeNew moves the messages of new to cur, as a mail reader must before it shows them, and returns them there. A
// message that another reader took first is left out. An info part that a delivery agent gave is kept; a name that
// would become too long with one gets none. A message that cannot be moved does not keep those after it from being taken: what
// is returned beside an error is taken, too.
func (d *Dir) TakeNew() ([]Entry, error) {
	var taken []Entry
	var failed error // the first of them
	for name, err := range d.names(NewSub, nil) {
		if err != nil {
			failed = err
			break
		}
		from := Entry{Sub: NewSub, Name: name, sep: d.opts.Separator}
		to := Entry{Sub: CurSub, Name: name, sep: d.opts.Separator}
		info := string(d.opts.Separator) + "2,"
		if _, ok := from.Info(); !ok && len(name)+len(info) <= maxName {
			to.Name += info
		}
		now, err := d.rename(from, d, to)
		switch {
		case err == nil:
			taken = append(taken, now)
		case !errors.Is(err, fs.ErrNotExist) && failed == nil:
			failed = err
		}
	}
	if len(taken) > 0 {
		if err := d.syncBoth(d.cur, d.newd); failed == nil {
			failed = err
		}
	}
	return taken, failed
}

// SetFlags replaces the flags and keyword letters of a message ("FS", "Sa"); characters that are neither are kept. It
// returns the message with its new name. A message in new moves to cur. When another program renames it at the
// same time, it is looked up by its base.
func (d *Dir) SetFlags(e Entry, flags string) (Entry, error) {
	return d.reflag(e, func(Entry) string { return flags })
}

// AddFlags adds flags and keyword letters.
func (d *Dir) AddFlags(e Entry, flags string) (Entry, error) {
	return d.reflag(e, func(now Entry) string { return now.Flags() + now.KeywordLetters() + flags })
}

// RemoveFlags takes flags and keyword letters away.
func (d *Dir) RemoveFlags(e Entry, flags string) (Entry, error) {
	return d.reflag(e, func(now Entry) string {
		return strings.Map(func(r rune) rune {
			if strings.ContainsRune(flags, r) {
				return -1
			}
			return r
		}, now.Flags()+now.KeywordLetters())
	})
}

func (d *Dir) reflag(e Entry, flags func(Entry) string) (to Entry, err error) {
	for i := 0; i < len(e.Name); i++ {
		if e.Name[i] == '/' {
			return Entry{}, fmt.Errorf("%q is not a file name", e.Name)
		}
	}
	var from Entry
	err = d.renamed(e, func(now Entry) (err error) {
		from = now
		to = Entry{Sub: CurSub, Name: now.withFlags(flags(now)), sep: d.opts.Separator}
		if to == now {
			_, err = d.fs.Lstat(d.EntryPath(now))
			return err
		}
		to, err = d.rename(now, d, to)
		return err
	})
	if err != nil || to == from {
		return to, err
	}
	if from.Sub == NewSub {
		err = d.syncBoth(d.cur, d.newd)
	} else {
		err = d.sync(d.cur)
	}
	if err == nil && from.Has(FlagTrashed) != to.Has(FlagTrashed) {
		err = d.chargeTrash(to)
	}
	return to, err
}

// rename gives a message another name, in dst. A name that is taken there, by another message with the same base, is
// never overwritten: the message gets a new base.
func (d *Dir) rename(from Entry, dst *Dir, to Entry) (Entry, error) {
	old := d.EntryPath(from)
	was, err := d.fs.Lstat(old)
	if err != nil {
		return to, err
	}
	if fi, err := dst.fs.Lstat(dst.EntryPath(to)); err == nil {
		if sameFile(was, fi) { // both links of a delivery that was cut short: one is enough
			return to, d.fs.Remove(old)
		}
		to.Name = dst.opts.Namer.Name() + sizes(to) + to.Name[len(to.Base()):]
	}
	return to, d.fs.Rename(old, dst.EntryPath(to))
}

// sizes returns the part of the base from the first comma on.
func sizes(e Entry) string {
	base := e.Base()
	if i := strings.IndexByte(base, ','); i >= 0 && len(base)-i < 80 {
		return base[i:]
	}
	return ""
}

// syncBoth makes a move durable: the new name first, so that a power failure cannot take both.
func (d *Dir) syncBoth(to, from string) error {
	if err := d.sync(to); err != nil {
		return err
	}
	return d.sync(from)
}

// Remove deletes a message for good.
func (d *Dir) Remove(e Entry) error {
	var gone Entry
	var size int64
	err := d.renamed(e, func(now Entry) error {
		gone = now
		if d.opts.Quota.limited() {
			fi, err := d.fs.Lstat(d.EntryPath(now))
			if err != nil {
				return err
			}
			size = sizeOf(now, fi)
		}
		return d.fs.Remove(d.EntryPath(now))
	})
	if err != nil {
		return err
	}
	if err := d.sync(d.subPath(gone.Sub)); err != nil {
		return err
	}
	if gone.Has(FlagTrashed) {
		return nil // not counted since it was marked
	}
	return d.charge(-size, -1)
}

// Expunge deletes the messages that are marked with the flag T, and returns them. They are gone for good when it
// returns nil; after an error some may be left.
func (d *Dir) Expunge() ([]Entry, error) {
	list, err := d.List()
	if err != nil {
		return nil, err
	}
	var gone []Entry
	for _, e := range list {
		if e.Sub != CurSub || !e.Has(FlagTrashed) {
			continue
		}
		switch err := d.fs.Remove(d.EntryPath(e)); {
		case err == nil:
			gone = append(gone, e)
		case !errors.Is(err, fs.ErrNotExist): // else: removed, or marked anew, by another program
			return gone, err
		}
	}
	if len(gone) == 0 {
		return nil, nil
	}
	return gone, d.sync(d.cur)
}

// Move moves a message to cur of another Maildir or folder on the same file system, with its flags, and returns it
// there. Nothing there is overwritten. When it returns nil the move is durable; a power failure meanwhile leaves the
// message in one place or the other.
func (d *Dir) Move(e Entry, dst *Dir) (Entry, error) {
	var to, from Entry
	err := d.renamed(e, func(now Entry) (err error) {
		from = now
		to = dst.entryFor(now)
		to, err = d.rename(now, dst, to)
		return err
	})
	if errors.Is(err, syscall.EXDEV) {
		if to, err = d.Copy(e, dst); err != nil {
			return to, err
		}
		return to, d.Remove(e)
	}
	if err != nil {
		return to, err
	}
	if err := dst.sync(dst.cur); err != nil {
		return to, err
	}
	if err := d.sync(d.subPath(from.Sub)); err != nil {
		return to, err
	}
	return to, d.chargeMove(dst, to)
}

// entryFor is what a message is called in d.
func (d *Dir) entryFor(e Entry) Entry {
	to := Entry{Sub: CurSub, sep: d.opts.Separator}
	info, ok := e.Info()
	if !ok {
		info = "2,"
	}
	to.Name = e.Base() + string(d.opts.Separator) + info
	return to
}

// Copy copies a message to cur of another Maildir or folder (or the same), with its flags and date, under a new base.
// The quota of dst applies.
func (d *Dir) Copy(e Entry, dst *Dir) (Entry, error) {
	f, now, err := d.Open(e)
	if err != nil {
		return Entry{}, err
	}
	defer f.Close()
	fi, err := f.Stat()
	if err != nil {
		return Entry{}, err
	}
	w, err := dst.Begin()
	if err != nil {
		return Entry{}, err
	}
	if _, err := w.ReadFrom(f); err != nil {
		_ = w.Abort()
		return Entry{}, err
	}
	name, err := w.CommitFlags(now.Flags()+now.KeywordLetters()+now.Unknown(), fi.ModTime())
	return Entry{Sub: CurSub, Name: name, sep: dst.opts.Separator}, err
}

// staleAge is how long a file in tmp may be left alone before it counts as given up.
const staleAge = 36 * time.Hour

// Stale returns the names of the files in tmp that no delivery has touched in the 36 hours before now: neither
// modified nor read. Dot files and directories do not count.
func (d *Dir) Stale(now time.Time) ([]string, error) {
	var stale []string
	dir := strings.TrimSuffix(d.tmp, string(filepath.Separator))
	for f, err := range readDir(d.fs, dir) {
		if errors.Is(err, fs.ErrNotExist) {
			break
		}
		if err != nil {
			return stale, err
		}
		if f.name[0] == '.' {
			continue
		}
		fi, err := d.fs.Lstat(d.tmp + f.name)
		if err != nil || !fi.Mode().IsRegular() {
			continue
		}
		limit := now.Add(-staleAge)
		attr, _ := vfs.AttrOf(fi) // where access is not told, the modification counts
		if fi.ModTime().Before(limit) && attr.Accessed.Before(limit) {
			stale = append(stale, f.name)
		}
	}
	return stale, nil
}

// Clean removes the files that Stale names, and returns how many. Mail readers call it when they start.
func (d *Dir) Clean(now time.Time) (int, error) {
	stale, err := d.Stale(now)
	n := 0
	for _, name := range stale {
		switch rerr := d.fs.Remove(d.tmp + name); {
		case rerr == nil:
			n++
		case !errors.Is(rerr, fs.ErrNotExist):
			err = errors.Join(err, rerr)
		}
	}
	return n, err
}

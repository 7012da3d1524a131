package queue

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/mtakit/mtakit/queue/qf"
)

// trashDir is where deleted entries wait to be purged, inside each queue directory. sendmail does not look there.
const trashDir = ".deleted"

// JournalEntry is one line of the journal of deletions: DIR/.deleted/journal, one JSON object a line.
type JournalEntry struct {
	Time   time.Time `json:"time"`
	Action string    `json:"action"` // delete, undelete or purge
	ID     ID        `json:"id"`
	Sender string    `json:"sender,omitempty"`
	Rcpts  []string  `json:"recipients,omitempty"`
	Note   string    `json:"note,omitempty"`
}

// Delete takes a claimed unit out of the queue without a report, but keeps its files aside until Purge, so that Undelete
// can bring it back. It ends the claim. When it returns nil, the unit is out of the queue even after a power failure.
func (d *Dir) Delete(ctx context.Context, c Claim, note string) error {
	dc, ok := c.(*dirClaim)
	if !ok || dc.d != d {
		return errors.New("queue: the claim is not one of this directory")
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := dc.check(); err != nil {
		return err
	}
	if err := d.toTrash(dc.sp, dc.letter, dc.unit, dc.dataPath, note, dc.end); err != nil {
		return storeError(dc.id, err)
	}
	return nil
}

// toTrash moves the files of a unit to the trash of its queue directory, and calls gone when the queue has it no more.
func (d *Dir) toTrash(sp *spool, letter byte, u *Unit, dataPath, note string, gone func()) error {
	trash := sp.path + "/" + trashDir
	if err := d.makeTrash(sp, trash); err != nil {
		return err
	}
	e := JournalEntry{Time: time.Now(), Action: "delete", ID: u.ID, Sender: u.Sender, Note: note}
	for _, r := range u.Rcpts {
		e.Rcpts = append(e.Rcpts, r.Addr)
	}
	if err := d.journal(sp, e); err != nil {
		return err
	}
	// The control file first: without it nothing is delivered, and Recover knows that its body still belongs to it.
	if err := d.fs.Rename(sp.file(letter, u.ID), trash+"/"+string(letter)+"f"+string(u.ID)); err != nil {
		return err
	}
	gone()
	err := errors.Join(d.fs.SyncDir(trash), d.syncDir(sp.qfSync))
	if err == nil {
		err = d.fs.Rename(dataPath, trash+"/df"+string(u.ID))
		switch {
		case err == nil:
			err = errors.Join(d.fs.SyncDir(trash), d.syncDir(sp.dfSync))
		case errors.Is(err, fs.ErrNotExist), errors.Is(err, errCrossDevice):
			err = nil // it had no body, or one on another file system, which stays there
		}
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUncertain, err)
	}
	return nil
}

// makeTrash makes the directory if it is missing. Nobody uses it before it is safe.
func (d *Dir) makeTrash(sp *spool, trash string) error {
	d.trashMu.Lock()
	defer d.trashMu.Unlock()
	err := d.fs.Mkdir(trash, 0o700)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := d.fs.SyncDir(sp.path); err != nil {
		return errors.Join(err, d.fs.Remove(trash)) // else the next call would take it for safe
	}
	return nil
}

// journal adds entries to the journal of a queue directory.
func (d *Dir) journal(sp *spool, entries ...JournalEntry) error {
	f, err := d.fs.OpenFile(sp.path+"/"+trashDir+"/journal", os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	var text []byte
	for _, e := range entries {
		b, err := json.Marshal(e)
		if err != nil {
			return err
		}
		text = append(append(text, b...), '\n')
	}
	if _, err := f.Write(text); err != nil {
		return err
	}
	return d.sync(f)
}

// deleted lists what a trash directory holds.
func (d *Dir) deleted(sp *spool) ([]name, error) {
	entries, err := d.fs.ReadDir(sp.path + "/" + trashDir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var out []name
	for _, e := range entries {
		if n, ok := parseName(e.Name()); ok && strings.IndexByte("qhQ", n.letter) >= 0 {
			n.sp = sp
			out = append(out, n)
		}
	}
	return out, err
}

// Deleted returns the ids of entries that Undelete can bring back.
func (d *Dir) Deleted(ctx context.Context) (ids []ID, err error) {
	for _, sp := range d.spools {
		names, lerr := d.deleted(sp)
		err = errors.Join(err, lerr)
		for _, n := range names {
			ids = append(ids, n.id)
		}
	}
	return ids, errors.Join(err, ctx.Err())
}

// Undelete brings back what Delete took out. ErrNotFound when it was purged, ErrConflict when the id is in use.
func (d *Dir) Undelete(ctx context.Context, id ID) error {
	for _, sp := range d.spools {
		names, err := d.deleted(sp)
		if err != nil {
			return storeError(id, err)
		}
		for _, n := range names {
			if n.id == id {
				return storeError(id, d.undelete(ctx, n))
			}
		}
	}
	return fmt.Errorf("%s: %w", id, ErrNotFound)
}

func (d *Dir) undelete(ctx context.Context, n name) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if has, err := d.hasControl(n.id); err != nil {
		return err
	} else if has {
		return ErrConflict
	}
	trash := n.sp.path + "/" + trashDir
	if err := d.journal(n.sp, JournalEntry{Time: time.Now(), Action: "undelete", ID: n.id}); err != nil {
		return err
	}
	// The body first, and safe, before the control file asks for it.
	control := trash + "/" + string(n.letter) + "f" + string(n.id)
	at, err := d.bodySpool(n.sp, control)
	if err != nil {
		return err
	}
	if err := d.fs.Rename(trash+"/df"+string(n.id), at.file('d', n.id)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := d.syncDir(at.dfSync); err != nil {
		return err
	}
	if err := d.fs.Rename(control, n.sp.file(n.letter, n.id)); err != nil {
		return err
	}
	return errors.Join(d.syncDir(n.sp.qfSync), d.tellOf(ctx, n.id))
}

// bodySpool is where the control file of a deleted entry says that its body belongs: a d line names another directory.
func (d *Dir) bodySpool(sp *spool, control string) (*spool, error) {
	f, err := d.fs.OpenFile(control, os.O_RDONLY, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	fi, err := f.Stat()
	if err != nil {
		return nil, err
	}
	text, err := readText(f, fi.Size())
	if err != nil {
		return nil, err
	}
	file, _ := qf.Decode(text, control) // a damaged one may come back, too
	if s := d.spoolNamed(file.DataDir); file.DataDir != "" && s != nil {
		return s, nil
	}
	return sp, nil
}

// purgeBatch is how many entries share the syncs of Purge.
const purgeBatch = 256

// Purge removes for good what was deleted longer than age ago.
func (d *Dir) Purge(ctx context.Context, age time.Duration) (purged int, err error) {
	var errs []error
	for _, sp := range d.spools {
		names, err := d.deleted(sp)
		errs = append(errs, err)
		for batch := range slices.Chunk(names, purgeBatch) {
			if err := ctx.Err(); err != nil {
				return purged, errors.Join(append(errs, err)...)
			}
			n, err := d.purge(sp, batch, age)
			purged += n
			errs = append(errs, err)
		}
	}
	return purged, errors.Join(errs...)
}

// purge removes those of a few entries that are old enough: the control files first, so that nothing comes back without
// its body.
func (d *Dir) purge(sp *spool, names []name, age time.Duration) (purged int, err error) {
	var errs []error
	var gone []JournalEntry
	trash := sp.path + "/" + trashDir
	for _, n := range names {
		control := trash + "/" + string(n.letter) + "f" + string(n.id)
		fi, err := d.fs.Lstat(control)
		if errors.Is(err, fs.ErrNotExist) { // brought back, or purged by another process
			continue
		}
		if err != nil {
			errs = append(errs, err)
			continue
		}
		if time.Since(changeTime(fi)) < age { // a rename changes the ctime: it is that of the deletion
			continue
		}
		if err := d.fs.Remove(control); err != nil {
			if !errors.Is(err, fs.ErrNotExist) {
				errs = append(errs, err)
			}
			continue
		}
		gone = append(gone, JournalEntry{Time: time.Now(), Action: "purge", ID: n.id})
	}
	if len(gone) == 0 {
		return 0, errors.Join(errs...)
	}
	if err := d.fs.SyncDir(trash); err != nil {
		return len(gone), errors.Join(append(errs, err)...)
	}
	for _, e := range gone {
		if err := d.fs.Remove(trash + "/df" + string(e.ID)); err != nil && !errors.Is(err, fs.ErrNotExist) { // it may have had none
			errs = append(errs, err)
		}
	}
	return len(gone), errors.Join(append(errs, d.journal(sp, gone...))...)
}

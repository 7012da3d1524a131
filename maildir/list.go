package maildir

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"
)

// All yields the messages of new, then those of cur, in the order of the directories, without holding them all in
// memory. Names that begin with a dot, directories and dangling links are no messages. A missing directory is empty.
//
// A message that a mail reader moves from new to cur meanwhile may be yielded twice, with the same base; one whose
// flags change may be missed. List is safe from that.
func (d *Dir) All() iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		for _, sub := range [...]Sub{NewSub, CurSub} {
			for name, err := range d.names(sub, nil) {
				if !yield(Entry{Sub: sub, Name: name, sep: d.opts.Separator}, err) || err != nil {
					return
				}
			}
		}
	}
}

func (d *Dir) subPath(sub Sub) string {
	if sub == NewSub {
		return d.newd
	}
	return d.cur
}

// names yields the file names of messages. What is there but is no message goes to ignored, if not nil.
func (d *Dir) names(sub Sub, ignored func(name string)) iter.Seq2[string, error] {
	dir := d.subPath(sub)
	return func(yield func(string, error) bool) {
		skip := func(name string) {
			if ignored != nil {
				ignored(name)
			}
		}
		for f, err := range readDir(d.fs, dir) {
			switch {
			case errors.Is(err, fs.ErrNotExist):
				return
			case err != nil:
				yield("", err)
				return
			case f.name[0] == '.' || f.typ == fs.ModeDir:
				skip(f.name)
				continue
			case f.typ == 0:
			default: // a link, or a file system that does not tell
				fi, err := d.fs.Stat(dir + string(filepath.Separator) + f.name)
				if err != nil || !fi.Mode().IsRegular() {
					skip(f.name)
					continue
				}
			}
			if !yield(f.name, nil) {
				return
			}
		}
	}
}

// tick is more than the step in which a kernel's clock of modification times advances: a directory that changed less
// than a tick ago may change again without showing it.
const tick = 10 * time.Millisecond

// List returns all messages, in the order of Compare, each once: of one file that is in new and in cur the latter. Two
// files with the same base are two messages. It reads the directories again while they change, since a reader of a directory can miss a file that is
// renamed meanwhile. Under constant change it may name messages that are gone, but misses none.
func (d *Dir) List() ([]Entry, error) {
	var last map[string]Entry
	for try := 0; ; try++ {
		began := time.Now()
		before := d.stamps()
		seen, err := d.scan()
		if err != nil {
			return nil, err
		}
		quiet := before == d.stamps() && began.Sub(before.newd) > tick && began.Sub(before.cur) > tick
		if quiet || try == 5 {
			if !quiet {
				for base, e := range last {
					if _, ok := seen[base]; !ok {
						seen[base] = e
					}
				}
			}
			return sorted(seen), nil
		}
		last = seen
		time.Sleep(time.Duration(try) * 2 * time.Millisecond)
	}
}

// scan reads both directories once. The messages are found by base; a second one with the same base by "base/1", a
// third by "base/2".
func (d *Dir) scan() (map[string]Entry, error) {
	seen := make(map[string]Entry)
	for e, err := range d.All() {
		if err != nil {
			return nil, err
		}
		key := e.Base()
		for n := 1; ; n++ {
			old, ok := seen[key]
			if !ok {
				seen[key] = e
				break
			}
			if one, ok := d.oneMessage(old, e); ok {
				seen[key] = one
				break
			}
			key = e.Base() + "/" + strconv.Itoa(n)
		}
	}
	return seen, nil
}

// oneMessage reports whether two names with the same base are, or just were, names of one file, and which of them to go
// by.
func (d *Dir) oneMessage(old, e Entry) (Entry, bool) {
	if old == e {
		return e, true
	}
	was, oldErr := d.fs.Lstat(d.EntryPath(old))
	now, err := d.fs.Lstat(d.EntryPath(e))
	switch {
	case errors.Is(err, fs.ErrNotExist): // renamed meanwhile
		return old, true
	case errors.Is(oldErr, fs.ErrNotExist):
		return e, true
	case oldErr != nil || err != nil || !sameFile(was, now):
		return Entry{}, false
	case old.Sub == NewSub:
		return e, true
	}
	return old, true
}

// sorted returns the messages in the order of Compare. Names are taken apart once each, not at every comparison.
func sorted(byBase map[string]Entry) []Entry {
	keys := make([]orderKey, 0, len(byBase))
	for _, e := range byBase {
		keys = append(keys, e.orderKey())
	}
	slices.SortFunc(keys, orderKey.compare)
	list := make([]Entry, len(keys))
	for i := range keys {
		list[i] = keys[i].e
	}
	return list
}

type dirStamps struct{ newd, cur time.Time }

// stamps returns the modification times of new and cur; a missing one has the zero time.
func (d *Dir) stamps() dirStamps {
	var s dirStamps
	if fi, err := d.fs.Stat(d.newd); err == nil {
		s.newd = fi.ModTime()
	}
	if fi, err := d.fs.Stat(d.cur); err == nil {
		s.cur = fi.ModTime()
	}
	return s
}

// Find returns the message with this base, wherever it is and whatever its flags. It is fs.ErrNotExist when there is
// none; directories that change are looked at several times before that, since a scan can miss a file that is being
// renamed.
func (d *Dir) Find(base string) (Entry, error) {
	for try := range 8 {
		began := time.Now()
		before := d.stamps()
		for e, err := range d.All() {
			if err != nil {
				return Entry{}, err
			}
			if e.Base() == base {
				return e, nil
			}
		}
		if try > 0 && before == d.stamps() && began.Sub(before.newd) > tick && began.Sub(before.cur) > tick {
			break
		}
		time.Sleep(time.Duration(try) * time.Millisecond)
	}
	return Entry{}, &fs.PathError{Op: "find", Path: filepath.Join(d.path, base), Err: fs.ErrNotExist}
}

// EntryPath returns the path of a message.
func (d *Dir) EntryPath(e Entry) string {
	return d.subPath(e.Sub) + string(filepath.Separator) + e.Name
}

const (
	// maxRenames is how often a message is followed to a new name before we give up. A try fails only when others
	// renamed the message during it, so this is far beyond what a busy mailbox does.
	maxRenames = 10000
	// maxSame is how often in a row it may be found under the name that just was missing. Others can rename a message
	// to and fro; more often than this, something else is missing, such as cur.
	maxSame = 50
)

// renamed calls f with the message, and again with its new name when it turns out to have been renamed by another
// program meanwhile. Only a message that Find does not find is fs.ErrNotExist for this reason.
func (d *Dir) renamed(e Entry, f func(Entry) error) error {
	err := f(e)
	same := 0
	for range maxRenames {
		if !errors.Is(err, fs.ErrNotExist) || same == maxSame {
			return err
		}
		now, ferr := d.Find(e.Base())
		if ferr != nil {
			return ferr
		}
		if now == e {
			same++
		} else {
			same = 0
		}
		e = now
		err = f(e)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s: others renamed it %d times while we tried to", filepath.Join(d.path, e.Base()), maxRenames)
	}
	return err
}

// Open opens a message for reading, and returns it with its current name: another program may have renamed it.
func (d *Dir) Open(e Entry) (File, Entry, error) {
	var f File
	err := d.renamed(e, func(now Entry) (err error) {
		e = now
		f, err = d.fs.OpenFile(d.EntryPath(now), os.O_RDONLY, 0)
		return err
	})
	return f, e, err
}

// File is an open message.
type File interface {
	io.Reader
	io.ReaderAt
	io.Seeker
	io.Closer
	Stat() (fs.FileInfo, error)
}

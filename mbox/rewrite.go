package mbox

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"

	"github.com/mtakit/mtakit/internal/vfs"
)

// Edit says what becomes of a message in Rewrite. The zero value keeps it as it is.
type Edit struct {
	Drop   bool    // remove the message
	Status *Status // replace its status fields by these
}

// RewriteOptions tunes Rewrite. The zero value, and a nil pointer, are ready for use.
type RewriteOptions struct {
	LockOptions
	ReadOptions
	NoSync bool

	fs vfs.FS // tests put a faulty one here
}

// Rewrite removes messages from the mbox at path, or changes their status fields, in place and under lock: the file
// keeps its inode, owner and mode, and messages that another program appends meanwhile wait for the lock. edit is
// called for every message and may read it. It returns the number of messages changed.
//
// What is to be written goes to a journal beside the mailbox first (.NAME.mbox-journal), is synced, and only then
// copied over the mailbox. A crash in between is put right by the next Rewrite or Append; until then other programs
// see a half of the change. After an error before that point nothing is changed.
func Rewrite(ctx context.Context, path string, edit func(m *Message) (Edit, error), opts *RewriteOptions) (changed int, err error) {
	var o RewriteOptions
	if opts != nil {
		o = *opts
	}
	if o.fs == nil {
		o.fs = vfs.OS
	}
	a := &appender{path: path, o: &AppendOptions{NoCreate: true, NoSync: o.NoSync, fs: o.fs}}
	f, h, err := acquire(ctx, o.fs, path, &o.LockOptions, true, a.open)
	if err != nil {
		return 0, err
	}
	defer h.release(f)
	j := &journal{fs: o.fs, box: path, f: f, noSync: o.NoSync, touch: h.touch}
	if err := j.recover(); err != nil {
		return 0, err
	}
	fi, err := f.Stat()
	if err != nil {
		return 0, err
	}
	w := &rewriter{j: j, f: f, size: fi.Size(), ctx: ctx}
	if err := w.run(edit, o.ReadOptions); err != nil {
		j.discard()
		return 0, err
	}
	if w.changed == 0 {
		return 0, nil
	}
	if err := j.commit(w.size); err != nil {
		j.discard()
		return 0, err
	}
	return w.changed, j.apply()
}

// rewriter collects the new text of the mailbox, from the first change on.
type rewriter struct {
	j       *journal
	f       vfs.File
	ctx     context.Context
	size    int64
	changed int
	from    int64 // kept text begins here that is not in the journal yet; -1 within a dropped message
}

func (w *rewriter) run(edit func(*Message) (Edit, error), o ReadOptions) error {
	o.Raw = true
	rd := NewReader(io.NewSectionReader(w.f, 0, w.size))
	rd.ReadOptions = o
	for m, err := range rd.Messages() {
		if err != nil {
			return err
		}
		if err := w.ctx.Err(); err != nil {
			return err
		}
		if w.from < 0 {
			w.from = m.Offset
		}
		if err := w.message(m, edit); err != nil {
			return err
		}
	}
	if w.changed == 0 || w.from < 0 {
		return nil
	}
	return w.keep(w.size)
}

func (w *rewriter) message(m *Message, edit func(*Message) (Edit, error)) error {
	header, err := m.Header()
	if err != nil {
		return err
	}
	header = append([]byte(nil), header...) // edit may read the message, and the buffer with it
	line := append([]byte(nil), m.rd.line...)
	start, offset := m.Start, m.Offset
	e, err := edit(m)
	switch {
	case err != nil:
		return err
	case e.Drop:
		if err := w.keep(offset); err != nil {
			return err
		}
		w.changed++
		w.from = -1
	case e.Status != nil:
		if err := w.keep(offset); err != nil {
			return err
		}
		w.changed++
		if err := w.j.write(line); err != nil {
			return err
		}
		w.from = start + int64(len(header))
		return w.j.write(replaceStatus(header, *e.Status))
	}
	return nil
}

// keep copies the kept text up to end into the journal, which begins at the first change.
func (w *rewriter) keep(end int64) error {
	if w.changed == 0 {
		w.from = end
		return w.j.begin(end)
	}
	if w.from < 0 || w.from == end {
		return nil
	}
	from := w.from
	w.from = end
	return w.j.copy(io.NewSectionReader(w.f, from, end-from))
}

// replaceStatus returns a header block with other status fields, put last.
func replaceStatus(header []byte, s Status) []byte {
	var out []byte
	blank := ""
	for len(header) > 0 {
		n := fieldEnd(header)
		field := header[:n]
		header = header[n:]
		if t := string(field); t == "\n" || t == "\r\n" {
			blank = t
			break
		}
		name := field
		for i, c := range field {
			if c == ':' {
				name = field[:i]
				break
			}
		}
		if !IsStatusField(string(trimLine(name))) {
			out = append(out, field...)
		}
	}
	if len(out) > 0 && out[len(out)-1] != '\n' {
		out = append(out, '\n')
	}
	return append(s.AppendFields(out), blank...)
}

// Delete removes the messages for which drop is true; it is Rewrite for the usual case.
func Delete(ctx context.Context, path string, drop func(m *Message) bool, opts *RewriteOptions) (removed int, err error) {
	return Rewrite(ctx, path, func(m *Message) (Edit, error) { return Edit{Drop: drop(m)}, nil }, opts)
}

// Recover finishes a Rewrite that a crash cut short, under lock. It does nothing when there was none.
func Recover(ctx context.Context, path string, opts *RewriteOptions) error {
	fsys := vfs.OS
	if opts != nil && opts.fs != nil {
		fsys = opts.fs
	}
	if _, err := fsys.Lstat(journalName(path)); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	_, err := Rewrite(ctx, path, func(*Message) (Edit, error) { return Edit{}, nil }, opts)
	return err
}

func journalName(box string) string {
	dir, name := filepath.Split(box)
	return dir + "." + name + ".mbox-journal"
}

func short(what string) error { return fmt.Errorf("%s: %w", what, io.ErrUnexpectedEOF) }

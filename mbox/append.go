package mbox

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"github.com/mtakit/mtakit/internal/vfs"
)

// AppendOptions tunes Append. The zero value, and a nil pointer, are ready for use.
type AppendOptions struct {
	LockOptions
	// Variant is the form in which the message is stored. The zero value is MboxRD.
	Variant Variant
	// KeepCR stores CR LF line ends as they come. Otherwise they become LF.
	KeepCR bool
	// MaxSize is how long the mailbox may get, in bytes. Zero means no limit.
	MaxSize int64
	// NoCreate refuses to make a mailbox that does not exist.
	NoCreate bool
	// Mode is that of a new mailbox. Zero means 0600.
	Mode fs.FileMode
	// Owner, when not nil, is the uid that the mailbox must belong to.
	Owner *int
	// Forbid lists mode bits that make the mailbox unfit, for example 0111, or 0022 to refuse those that others may write.
	Forbid fs.FileMode
	// NoSync leaves out fsync.
	NoSync bool
	// Journal writes the message to a journal beside the mailbox first, as Rewrite does. A power failure while Append
	// runs then leaves no part of the message behind: the next Append, Rewrite or Recover completes it. Without it
	// a part may be left at the end, and, on file systems that lose blocks out of order, run on from the message
	// before, as with every other program that appends. It costs three more syncs and writes the message twice.
	Journal bool

	fs vfs.FS // tests put a faulty one here
}

// Why a mailbox is refused, or a message not stored in it.
var (
	// ErrUnsafe: the mailbox is a symbolic link, a FIFO, a device or a directory, has several hard links, belongs to
	// somebody else, or has forbidden mode bits.
	ErrUnsafe = errors.New("mailbox is not safe to deliver to")
	// ErrTooBig: the message would make the mailbox longer than MaxSize.
	ErrTooBig = errors.New("mailbox would exceed its size limit")
	// ErrRollback: a failed message could not be cut off again, so that a part of it is left at the end of the mailbox.
	// The next Append separates it from its message.
	ErrRollback = errors.New("a partial message is left in the mailbox")
)

// Envelope is what stands before a message in an mbox.
type Envelope struct {
	Sender string    // envelope sender; "" is the null reverse-path, written MAILER-DAEMON
	Date   time.Time // of delivery, written in its location; zero means now, in UTC
	Line   []byte    // if not nil, the whole From_ line with its line end, instead of the two above
	Head   []byte    // header lines added at delivery; may be empty
}

// Appended says where Append put a message.
type Appended struct {
	Offset int64 // of the From_ line
	Size   int64 // of the mailbox afterwards
	Tail   bool  // the mailbox did not end in an empty line, and was completed
}

// Append stores one message, read from r, at the end of the mbox at path: under lock, quoted as the variant
// demands, and synced. When it returns nil, the message survives a power failure. After an error the file is as it
// was before (unless the error is ErrRollback), since what was written is cut off before the locks are given up.
//
// Goroutines that append to one mailbox at the same time share the locks and the sync.
//
// A mailbox that does not exist is made. One that is not a plain file with one link is refused (ErrUnsafe); a FIFO
// never blocks. ctx bounds the wait for the locks, and is looked at between blocks of the message.
func Append(ctx context.Context, path string, env *Envelope, r io.Reader, opts *AppendOptions) (Appended, error) {
	var o AppendOptions
	if opts != nil {
		o = *opts
	}
	if o.fs == nil {
		o.fs = vfs.OS
	}
	key, err := o.groupKey(path)
	if err != nil {
		return Appended{}, err
	}
	wait, cancel := context.WithTimeoutCause(ctx, o.timeout(), ErrLocked)
	defer cancel()
	s, err := enter(wait, key)
	if err != nil {
		return Appended{}, err
	}
	a := &appender{path: path, o: &o, start: -1}
	if s == nil {
		if a.f, a.h, err = acquire(wait, o.fs, path, &o.LockOptions, true, a.open); err != nil {
			leave(key, nil)
			return Appended{}, err
		}
		s = &session{a: a, start: -1, began: time.Now()}
	} else {
		a.f, a.h = s.a.f, s.a.h
	}
	returned := false
	defer func() {
		if !returned { // r panicked: nobody else must wait for us
			_ = a.cut(errors.New("panic"), a.start)
			leave(key, s)
		}
	}()
	res, err := a.append(ctx, env, r)
	returned = true
	if err != nil {
		s.broken = s.broken || isRollback(err)
		leave(key, s)
		return Appended{}, err
	}
	fate := s.add(a.start)
	leave(key, s)
	if err := <-fate; err != nil {
		return Appended{}, err
	}
	return res, nil
}

// appender is one Append under way.
type appender struct {
	path    string
	o       *AppendOptions
	f       vfs.File
	h       *held
	created bool
	start   int64 // size before; -1 until it is known
}

// open opens the mailbox, making it if need be, after the checks that keep a hostile owner of the directory from
// having us write somewhere else.
func (a *appender) open() (vfs.File, error) {
	flag := os.O_RDWR | vfs.NoFollow | vfs.NonBlock
	before, err := a.o.fs.Lstat(a.path)
	switch {
	case errors.Is(err, fs.ErrNotExist) && !a.o.NoCreate:
		mode := a.o.Mode
		if mode == 0 {
			mode = 0o600
		}
		f, err := a.o.fs.OpenFile(a.path, flag|os.O_CREATE|os.O_EXCL, mode)
		if err == nil {
			a.created = true
			return f, nil
		}
		if !errors.Is(err, fs.ErrExist) {
			return nil, err
		}
		if before, err = a.o.fs.Lstat(a.path); err != nil {
			return nil, err
		}
	case err != nil:
		return nil, err
	}
	if err := a.check(before); err != nil {
		return nil, err
	}
	f, err := a.o.fs.OpenFile(a.path, flag, 0)
	if err != nil {
		return nil, err
	}
	after, err := f.Stat()
	if err == nil {
		err = a.check(after)
	}
	if err == nil && !sameFile(before, after) {
		err = fmt.Errorf("%s: %w: it was replaced while it was opened", a.path, ErrUnsafe)
	}
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	return f, nil
}

func (a *appender) check(fi fs.FileInfo) error {
	why := ""
	attr, known := vfs.AttrOf(fi)
	switch {
	case !fi.Mode().IsRegular():
		why = "it is not a plain file (" + fi.Mode().Type().String() + ")"
	case known && attr.Nlink != 1:
		why = "it has several hard links"
	case a.o.Owner != nil && known && attr.UID != *a.o.Owner:
		why = fmt.Sprintf("it belongs to uid %d, not %d", attr.UID, *a.o.Owner)
	case fi.Mode().Perm()&a.o.Forbid != 0:
		why = "its mode is " + fi.Mode().Perm().String()
	default:
		return nil
	}
	return fmt.Errorf("%s: %w: %s", a.path, ErrUnsafe, why)
}

// append writes the message, and cuts the file back when it cannot.
func (a *appender) append(ctx context.Context, env *Envelope, r io.Reader) (res Appended, err error) {
	if !a.created {
		j := &journal{fs: a.o.fs, box: a.path, f: a.f, noSync: a.o.NoSync, touch: a.h.touch}
		if err := j.recover(); err != nil {
			return res, err
		}
	}
	fi, err := a.f.Stat()
	if err != nil {
		return res, err
	}
	a.start = fi.Size()
	if a.o.MaxSize > 0 && a.start >= a.o.MaxSize {
		return res, fmt.Errorf("%s: %w of %d bytes", a.path, ErrTooBig, a.o.MaxSize)
	}
	fix, err := a.tail(fi)
	if err != nil {
		return res, err
	}
	if a.o.Journal {
		size, err := a.writeJournal(ctx, fix, env, r)
		return Appended{Offset: a.start + int64(len(fix)), Size: size, Tail: fix != ""}, err
	}
	size, err := a.write(ctx, fix, env, r, a.f.WriteAt, 0)
	if err != nil {
		return res, a.cut(err, a.start)
	}
	return Appended{Offset: a.start + int64(len(fix)), Size: size, Tail: fix != ""}, nil
}

// tail returns what is missing at the end of the file: a crashed writer may have left an unterminated line, and
// some leave out the empty line.
func (a *appender) tail(fi fs.FileInfo) (fix string, err error) {
	if a.start == 0 {
		return "", nil
	}
	var b [4]byte
	n := min(a.start, int64(len(b)))
	if _, err := a.f.ReadAt(b[:n], a.start-n); err != nil {
		return "", err
	}
	// Programs tell new mail by a modification time after the access time, which our look should not move. Failing is
	// harmless, and usual for somebody else's file.
	if attr, ok := vfs.AttrOf(fi); ok {
		_ = a.o.fs.Chtimes(a.path, attr.Accessed, time.Time{})
	}
	switch t := string(b[:n]); {
	case t[n-1] != '\n':
		return "\n\n", nil
	case n >= 2 && t[n-2:] == "\n\n", n == 4 && t == "\r\n\r\n", n >= 3 && t[n-3:] == "\n\r\n", t == "\n":
		return "", nil
	}
	return "\n", nil
}

// writeJournal writes the message by way of a journal.
func (a *appender) writeJournal(ctx context.Context, fix string, env *Envelope, r io.Reader) (size int64, err error) {
	j := &journal{fs: a.o.fs, box: a.path, f: a.f, noSync: a.o.NoSync, touch: a.h.touch}
	if err := j.begin(a.start); err != nil {
		j.discard()
		return 0, err
	}
	size, err = a.write(ctx, fix, env, r, j.w.WriteAt, journalHead-a.start)
	if err == nil {
		if err = j.measure(size - a.start); err == nil {
			err = j.commit(a.start)
		}
	}
	if err != nil {
		j.discard()
		return 0, err
	}
	if err := j.apply(); err != nil {
		return 0, a.cutJournal(j, err)
	}
	return size, nil
}

// cutJournal takes back a message whose journal could not be applied.
func (a *appender) cutJournal(j *journal, why error) error {
	j.discard()
	if err := a.cut(why, a.start); isRollback(err) {
		return err
	}
	if err := a.o.fs.Remove(j.name()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w (%w: %w)", why, ErrRollback, err)
	}
	return errors.Join(why, j.syncDir())
}

// write writes everything at the end of the file, through writeAt with offsets moved by shift, and returns the
// mailbox's new size.
func (a *appender) write(ctx context.Context, fix string, env *Envelope, r io.Reader, writeAt func([]byte, int64) (int, error), shift int64) (size int64, err error) {
	e := encoders.Get().(*encoder)
	in := buffers.Get().(*[]byte)
	defer func() {
		*e = encoder{out: e.out[:0], scratch: e.scratch[:0], field: e.field[:0]}
		if cap(e.out) <= 4*outSize {
			encoders.Put(e)
		}
		buffers.Put(in)
	}()
	e.variant, e.keepCR, e.written = a.o.Variant, a.o.KeepCR, a.start
	e.flushTo = func(b []byte) error {
		a.h.touch()
		if a.o.MaxSize > 0 && e.written+int64(len(b)) > a.o.MaxSize {
			return fmt.Errorf("%s: %w of %d bytes", a.path, ErrTooBig, a.o.MaxSize)
		}
		n, err := writeAt(b, e.written+shift)
		if err == nil && n < len(b) {
			err = io.ErrShortWrite
		}
		return err
	}
	e.patch = func(b []byte, off int64) error {
		_, err := writeAt(b, off+shift)
		return err
	}
	e.out = append(e.out, fix...)
	e.beginEnvelope(env)
	if _, err := e.Write(env.Head); err != nil {
		return 0, err
	}
	if err := e.copyFrom(r, *in, ctx.Err); err != nil {
		return 0, err
	}
	if err := e.end(); err != nil {
		return 0, err
	}
	err = e.flush()
	return e.written, err
}

// beginEnvelope begins a message with its From_ line.
func (e *encoder) beginEnvelope(env *Envelope) {
	if env.Line != nil {
		e.begin(env.Line)
		return
	}
	t := env.Date
	if t.IsZero() {
		t = time.Now().UTC()
	}
	var room [128]byte
	e.begin(AppendSeparator(room[:0], env.Sender, t))
}

// cut makes the file as long as it was, for the reason why.
func (a *appender) cut(why error, start int64) error {
	if start < 0 {
		return why
	}
	err := a.f.Truncate(start)
	if err == nil && !a.o.NoSync {
		err = a.f.Sync()
	}
	if err != nil {
		return fmt.Errorf("%w (%w: %s after offset %d: %w)", why, ErrRollback, a.path, start, err)
	}
	return why
}

// cutByName is cut when closing failed and the descriptor is gone. It opens the file again.
func (a *appender) cutByName(why error, start int64) error {
	f, err := a.o.fs.OpenFile(a.path, os.O_RDWR|vfs.NoFollow|vfs.NonBlock, 0)
	if err != nil {
		return fmt.Errorf("%w (%w: %s after offset %d: %w)", why, ErrRollback, a.path, start, err)
	}
	defer f.Close()
	a.f = f
	return a.cut(why, start)
}

package maildir

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/mtakit/mtakit/internal/vfs"
)

// maxDelivery is how long a delivery may take: well below the 36 hours after which cleaners remove files from tmp.
const maxDelivery = 24 * time.Hour

// bufSize holds most messages whole, so that they are written with one system call.
const bufSize = 64 << 10

var buffers = sync.Pool{New: func() any { b := make([]byte, 0, bufSize); return &b }}

// ErrTooLate is the error of a delivery that took longer than 24 hours; its file in tmp may be gone.
var ErrTooLate = errors.New("delivery took longer than 24 hours")

// Deliver stores the message that r gives, preceded by head (header lines added at delivery; may be empty), and
// returns its base name with sizes, which is also its name in new. When it returns nil the message survives a
// power failure; after an error nothing was delivered, except that after a failed sync of the directory the
// message may be there all the same. Line ends are stored as they come: they should be LF.
//
// ctx is looked at between blocks of 64 KiB.
func (d *Dir) Deliver(ctx context.Context, head []byte, r io.Reader) (name string, err error) {
	w, err := d.Begin()
	if err != nil {
		return "", err
	}
	if _, err := w.Write(head); err == nil {
		_, err = w.readFrom(ctx, r)
		if err == nil {
			return w.name, w.commit(d.newd, "")
		}
	}
	_ = w.Abort()
	return "", w.err
}

// A Delivery is a message being written. It is not safe for concurrent use.
type Delivery struct {
	d     *Dir
	f     vfs.File
	base  string
	tmp   string // path
	name  string // base with sizes, once committed
	buf   *[]byte
	size  int64
	lf    int64 // LFs without CR, for ,W=
	last  byte
	begun time.Time
	err   error
}

// Begin opens a new file in tmp. The caller ends the delivery with Commit or Abort.
func (d *Dir) Begin() (*Delivery, error) {
	w := &Delivery{d: d, begun: time.Now()}
	for try := 0; ; try++ {
		var name [192]byte
		path := append(name[:0], d.tmp...)
		n := len(path)
		path = d.opts.Namer.appendName(path)
		w.tmp = string(path)
		w.base = w.tmp[n:]
		var err error
		w.f, err = d.fs.OpenFile(w.tmp, openFlags, 0o600)
		switch {
		case err == nil:
			w.buf = buffers.Get().(*[]byte)
			return w, nil
		case errors.Is(err, fs.ErrExist) && try < 100:
		case errors.Is(err, fs.ErrNotExist) && d.opts.Create && try == 0:
			if err := d.Create(); err != nil {
				return nil, err
			}
		default:
			return nil, err
		}
	}
}

// Write adds to the message. After an error every later call fails with it, Commit too.
func (w *Delivery) Write(p []byte) (int, error) {
	if w.err != nil {
		return 0, w.err
	}
	if len(*w.buf)+len(p) > cap(*w.buf) {
		if w.flush(); w.err != nil {
			return 0, w.err
		}
		if len(p) >= cap(*w.buf) {
			w.write(p)
			return len(p), w.err
		}
	}
	*w.buf = append(*w.buf, p...)
	return len(p), nil
}

// ReadFrom adds all of r.
func (w *Delivery) ReadFrom(r io.Reader) (int64, error) { return w.readFrom(context.Background(), r) }

func (w *Delivery) readFrom(ctx context.Context, r io.Reader) (n int64, err error) {
	for w.err == nil {
		b := *w.buf
		if len(b) == cap(b) {
			if err := ctx.Err(); err != nil {
				w.err = err
				break
			}
			w.flush()
			continue
		}
		m, err := r.Read(b[len(b):cap(b)])
		*w.buf = b[:len(b)+m]
		n += int64(m)
		if err == io.EOF {
			return n, w.err
		}
		if err != nil {
			w.err = err
		}
	}
	return n, w.err
}

func (w *Delivery) flush() {
	if len(*w.buf) > 0 {
		w.write(*w.buf)
		*w.buf = (*w.buf)[:0]
	}
}

func (w *Delivery) write(p []byte) {
	if w.d.opts.VirtualSize {
		w.countLF(p)
	}
	n, err := w.f.Write(p)
	w.size += int64(n)
	if err == nil && n < len(p) {
		err = io.ErrShortWrite
	}
	w.err = err
}

func (w *Delivery) countLF(p []byte) {
	for _, c := range p {
		if c == '\n' && w.last != '\r' {
			w.lf++
		}
		w.last = c
	}
}

// Commit makes the message visible in new and returns its name. When it returns nil the message survives a power
// failure. After an error nothing was delivered, except that after a failed sync of the directory the message may
// be there all the same.
func (w *Delivery) Commit() (name string, err error) {
	err = w.commit(w.d.newd, "")
	return w.name, err
}

// CommitFlags makes the message visible in cur with flags and keyword letters, as readers and importers do: drafts,
// sent mail. A date that is not zero becomes the file's modification time, which readers take as the date of
// arrival.
func (w *Delivery) CommitFlags(flags string, date time.Time) (name string, err error) {
	if w.err == nil && !date.IsZero() {
		w.err = w.d.fs.Chtimes(w.tmp, date, date)
	}
	err = w.commit(w.d.cur, string(w.d.opts.Separator)+"2,"+canonicalFlags(flags))
	return w.name, err
}

func (w *Delivery) commit(dir, info string) error {
	if w.f == nil {
		if w.err == nil {
			w.err = fs.ErrClosed
		}
		return w.err
	}
	if w.err == nil {
		w.flush()
	}
	if w.err == nil && !w.d.opts.NoSync {
		w.err = w.f.Sync()
	}
	w.close()
	if w.err == nil && time.Since(w.begun) > maxDelivery {
		w.err = ErrTooLate
	}
	if w.err == nil {
		w.err = w.d.room(w.size)
	}
	if w.err != nil {
		w.remove()
		return w.err
	}
	name := w.finalName(info)
	if w.err = w.d.publish(w.tmp, dir, name); w.err != nil {
		w.remove()
		return w.err
	}
	w.name = name
	if w.err = w.d.sync(dir); w.err == nil && !(Entry{Name: name, sep: w.d.opts.Separator}).Has(FlagTrashed) {
		_ = w.d.charge(w.size, 1) // the message is safe; a count that is off is found out later
	}
	return w.err
}

// finalName is the base name with the sizes, and the info part. Sizes are left out when the name got too long.
func (w *Delivery) finalName(info string) string {
	var room [224]byte
	b := append(room[:0], w.base...)
	if !w.d.opts.NoSize {
		b = append(b, ",S="...)
		b = strconv.AppendInt(b, w.size, 10)
	}
	if w.d.opts.VirtualSize {
		b = append(b, ",W="...)
		b = strconv.AppendInt(b, w.size+w.lf, 10)
	}
	if len(b)+len(info) > maxName {
		b = b[:len(w.base)]
	}
	return string(append(b, info...))
}

// publish moves a complete file to dir/name. The name is new in this world (64 random bits, pid, counter,
// microseconds), so that rename, which would replace a file silently, has none to replace; in exchange there is no
// moment with two links, and no file system that cannot do it.
func (d *Dir) publish(tmp, dir, name string) error {
	var room [256]byte
	path := append(room[:0], dir...)
	path = append(path, filepath.Separator)
	path = append(path, name...)
	err := d.fs.Rename(tmp, string(path))
	if errors.Is(err, fs.ErrNotExist) && d.opts.Create { // a crash cut short the making of the Maildir
		if cerr := d.Create(); cerr != nil {
			return cerr
		}
		err = d.fs.Rename(tmp, string(path))
	}
	return err
}

// Abort removes what was written. It is harmless after Commit.
func (w *Delivery) Abort() error {
	if w.f == nil {
		return nil
	}
	w.close()
	if w.err == nil {
		w.err = errors.New("delivery was given up")
	}
	return w.d.fs.Remove(w.tmp)
}

// close gives up file and buffer. An error of close is one of writing: NFS and quotas report there.
func (w *Delivery) close() {
	if err := w.f.Close(); err != nil && w.err == nil {
		w.err = err
	}
	w.f = nil
	if w.buf != nil {
		*w.buf = (*w.buf)[:0]
		buffers.Put(w.buf)
		w.buf = nil
	}
}

func (w *Delivery) remove() { _ = w.d.fs.Remove(w.tmp) }

// canonicalFlags sorts flags and drops duplicates. What cannot stand in a file name, and the comma, which ends the
// flags, is dropped too.
func canonicalFlags(flags string) string {
	var seen [256]bool
	n := 0
	for i := 0; i < len(flags); i++ {
		if c := flags[i]; c != 0 && c != '/' && c != ',' && c != ':' && !seen[c] {
			seen[c] = true
			n++
		}
	}
	var b strings.Builder
	b.Grow(n)
	for c, ok := range seen {
		if ok {
			b.WriteByte(byte(c))
		}
	}
	return b.String()
}

package mbox

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/mtakit/mtakit/internal/vfs"
)

// A journal holds the new text of a mailbox from an offset on, so that a change in place survives a crash. The file
// begins with a line of journalHead bytes:
//
//	mtakit mbox journal 1 <offset> <old size> <length> <hash of the text> <hash of what is cut off> <hash of what stays>
//
// and holds length bytes of text. It has its name only while it is complete and not applied.
type journal struct {
	fs     vfs.FS
	box    string
	f      vfs.File // the mailbox, locked
	noSync bool
	touch  func()

	w      vfs.File // being written
	sum    hash.Hash
	head   journalHeader
	buffer []byte
}

type journalHeader struct {
	offset, oldSize, length int64
	text, cut, guard        [sha256.Size]byte
}

const (
	journalHead  = 384
	journalMagic = "mtakit mbox journal 1"
	guardSize    = 4096
)

func (h *journalHeader) newSize() int64 { return h.offset + h.length }

func (h *journalHeader) String() string {
	s := fmt.Sprintf("%s %d %d %d %x %x %x", journalMagic, h.offset, h.oldSize, h.length, h.text, h.cut, h.guard)
	return fmt.Sprintf("%-*s\n", journalHead-1, s)
}

func (j *journal) name() string    { return journalName(j.box) }
func (j *journal) tmpName() string { return journalName(j.box) + ".tmp" }

// begin starts a journal of the text from offset on.
func (j *journal) begin(offset int64) error {
	_ = j.fs.Remove(j.tmpName()) // left by a crash; we hold the lock
	w, err := j.fs.OpenFile(j.tmpName(), os.O_RDWR|os.O_CREATE|os.O_EXCL|vfs.NoFollow, 0o600)
	if err != nil {
		return err
	}
	j.w, j.sum, j.head = w, sha256.New(), journalHeader{offset: offset}
	_, err = j.w.Write(bytes.Repeat([]byte{' '}, journalHead))
	return err
}

func (j *journal) write(b []byte) error {
	j.touch()
	j.sum.Write(b)
	n, err := j.w.Write(b)
	j.head.length += int64(n)
	if err == nil && n < len(b) {
		err = io.ErrShortWrite
	}
	return err
}

func (j *journal) buf() []byte {
	if j.buffer == nil {
		j.buffer = make([]byte, bufferSize)
	}
	return j.buffer
}

func (j *journal) copy(r io.Reader) error {
	for {
		n, err := r.Read(j.buf())
		if n > 0 {
			if werr := j.write(j.buf()[:n]); werr != nil {
				return werr
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

// measure takes note of text that was written without write.
func (j *journal) measure(length int64) error {
	j.head.length = length
	j.sum = sha256.New()
	n, err := io.Copy(j.sum, io.NewSectionReader(j.w, journalHead, length))
	if err == nil && n < length {
		err = short("journal")
	}
	return err
}

// commit makes the journal durable. From then on the change happens, whatever crashes.
func (j *journal) commit(oldSize int64) error {
	h := &j.head
	h.oldSize = oldSize
	j.sum.Sum(h.text[:0])
	var err error
	if h.cut, err = sumRange(j.f, h.newSize(), oldSize); err != nil {
		return err
	}
	if h.guard, err = sumRange(j.f, max(0, h.offset-guardSize), h.offset); err != nil {
		return err
	}
	if _, err := j.w.WriteAt([]byte(h.String()), 0); err != nil {
		return err
	}
	if !j.noSync {
		if err := j.w.Sync(); err != nil {
			return err
		}
	}
	if err := j.fs.Rename(j.tmpName(), j.name()); err != nil {
		return err
	}
	return j.syncDir()
}

func (j *journal) syncDir() error {
	if j.noSync {
		return nil
	}
	return j.fs.SyncDir(filepath.Dir(j.box))
}

// sumRange hashes the bytes from a to b; none when b is not behind a.
func sumRange(r io.ReaderAt, a, b int64) (sum [sha256.Size]byte, err error) {
	h := sha256.New()
	if b > a {
		n, err := io.Copy(h, io.NewSectionReader(r, a, b-a))
		if err != nil {
			return sum, err
		}
		if n < b-a {
			return sum, short("mailbox")
		}
	}
	h.Sum(sum[:0])
	return sum, nil
}

// apply copies the text over the mailbox, and removes the journal. What stands behind the old end is written first, so
// that recovery can tell it from mail that others append.
func (j *journal) apply() error {
	h := &j.head
	for _, part := range [][2]int64{{max(h.offset, h.oldSize), h.newSize()}, {h.offset, min(h.newSize(), h.oldSize)}} {
		if err := j.applyRange(part[0], part[1]); err != nil {
			return err
		}
	}
	if h.newSize() < h.oldSize {
		if err := j.f.Truncate(h.newSize()); err != nil {
			return err
		}
	}
	if !j.noSync {
		if err := j.f.Sync(); err != nil {
			return err
		}
	}
	j.discard()
	if err := j.fs.Remove(j.name()); err != nil {
		return err
	}
	return j.syncDir()
}

// applyRange copies the bytes of the mailbox from a to b.
func (j *journal) applyRange(a, b int64) error {
	r := io.NewSectionReader(j.w, journalHead+a-j.head.offset, max(0, b-a))
	for off := a; off < b; {
		j.touch()
		n, err := r.Read(j.buf())
		if n > 0 {
			if _, werr := j.f.WriteAt(j.buf()[:n], off); werr != nil {
				return werr
			}
			off += int64(n)
		}
		if err != nil && off < b {
			return errors.Join(err, short("journal"))
		}
	}
	return nil
}

// discard gives up a journal that is not committed, and closes the file.
func (j *journal) discard() {
	if j.w != nil {
		_ = j.w.Close()
		j.w = nil
		_ = j.fs.Remove(j.tmpName())
	}
}

// recover finishes a change that a crash cut short.
func (j *journal) recover() error {
	if _, err := j.fs.Lstat(j.name()); errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		return err
	}
	w, err := j.fs.OpenFile(j.name(), os.O_RDWR|vfs.NoFollow|vfs.NonBlock, 0)
	if err != nil {
		return err
	}
	j.w = w
	good, err := j.load()
	if err != nil {
		j.close()
		return err
	}
	fi, err := j.f.Stat()
	if err != nil {
		j.close()
		return err
	}
	extra := int64(-1)
	if good {
		if extra, err = j.extra(fi.Size()); err != nil {
			j.close()
			return err
		}
	}
	if extra < 0 { // not ours to judge: the mailbox was changed by somebody else. Both are kept.
		j.close()
		if err := j.fs.Rename(j.name(), j.name()+".saved"); err != nil {
			return err
		}
		return j.syncDir()
	}
	if extra < fi.Size() {
		if err := j.adopt(extra, fi.Size()); err != nil {
			j.discard()
			return err
		}
	}
	return j.apply()
}

func (j *journal) close() {
	_ = j.w.Close()
	j.w = nil
}

// load reads the header and checks the text.
func (j *journal) load() (good bool, err error) {
	b := make([]byte, journalHead)
	if _, err := j.w.ReadAt(b, 0); err != nil && err != io.EOF {
		return false, err
	}
	h := &j.head
	var text, cut, guard []byte
	if _, err := fmt.Sscanf(string(b), journalMagic+" %d %d %d %x %x %x", &h.offset, &h.oldSize, &h.length, &text, &cut, &guard); err != nil {
		return false, nil
	}
	if copy(h.text[:], text)+copy(h.cut[:], cut)+copy(h.guard[:], guard) != 3*sha256.Size || h.offset < 0 || h.length < 0 {
		return false, nil
	}
	sum, err := sumRange(j.w, journalHead, journalHead+h.length)
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return false, nil
	}
	return sum == h.text, err
}

// extra finds out how far the crash came, and returns where mail begins that others appended since; size when there
// is none, -1 when the mailbox is not as it must be.
func (j *journal) extra(size int64) (int64, error) {
	h := &j.head
	if size < min(h.newSize(), h.oldSize) {
		return -1, nil
	}
	if guard, err := sumRange(j.f, max(0, h.offset-guardSize), h.offset); err != nil || guard != h.guard {
		return -1, err
	}
	if h.newSize() <= h.oldSize {
		if size >= h.oldSize {
			cut, err := sumRange(j.f, h.newSize(), h.oldSize)
			if err != nil {
				return -1, err
			}
			if cut == h.cut { // not truncated yet
				return h.oldSize, nil
			}
		}
		return j.mail(h.newSize(), size)
	}
	// It was to grow: behind the old end stands what was written of the text, with zeros where a block was lost. Mail
	// that others appended since begins where the text ends.
	end := min(size, h.newSize())
	torn, same := true, int64(0)
	for at := h.oldSize; at < end; {
		n := min(int64(len(j.buf())/2), end-at)
		a, b := j.buf()[:n], j.buf()[n:2*n]
		if _, err := j.f.ReadAt(a, at); err != nil && err != io.EOF {
			return -1, err
		}
		if _, err := j.w.ReadAt(b, journalHead+at-h.offset); err != nil && err != io.EOF {
			return -1, err
		}
		for i := range a {
			if a[i] == b[i] && same == at+int64(i)-h.oldSize {
				same++
			}
			torn = torn && (a[i] == b[i] || a[i] == 0)
		}
		at += n
	}
	if torn {
		return j.mail(end, size)
	}
	return j.mail(h.oldSize+same, size)
}

// mail returns at when nothing but whole messages stand there, or nothing.
func (j *journal) mail(at, size int64) (int64, error) {
	if at == size {
		return size, nil
	}
	b := make([]byte, min(8, size-at))
	if _, err := j.f.ReadAt(b, at); err != nil && err != io.EOF {
		return -1, err
	}
	if hasFrom(bytes.TrimLeft(b, "\n")) {
		return at, nil
	}
	return -1, nil
}

// adopt replaces the journal by one that also holds the mail from at on.
func (j *journal) adopt(at, size int64) error {
	old := j.w
	defer old.Close()
	length := j.head.length
	if err := j.begin(j.head.offset); err != nil {
		j.w = nil
		return err
	}
	if err := j.copy(io.NewSectionReader(old, journalHead, length)); err != nil {
		return err
	}
	if err := j.copy(io.NewSectionReader(j.f, at, size-at)); err != nil {
		return err
	}
	return j.commit(size)
}

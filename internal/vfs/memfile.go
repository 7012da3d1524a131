package vfs

import (
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// memFile is an open file of a Mem.
type memFile struct {
	m      *Mem
	n      *inode
	name   string
	flag   int
	pos    int64
	closed bool
}

func (f *memFile) fail(op string, err error) error {
	return &fs.PathError{Op: op, Path: f.name, Err: err}
}

// check reports why an operation cannot be done at all. Caller holds mu.
func (f *memFile) check(write bool) error {
	mode := f.flag & (os.O_RDONLY | os.O_WRONLY | os.O_RDWR)
	switch {
	case f.closed:
		return fs.ErrClosed
	case f.n.mode.IsDir():
		return syscall.EISDIR
	case write && mode == os.O_RDONLY, !write && mode == os.O_WRONLY:
		return syscall.EBADF
	}
	return nil
}

func (f *memFile) Name() string { return f.name }
func (f *memFile) Fd() uintptr  { return NoFd }

func (f *memFile) Read(p []byte) (int, error) {
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	n, err := f.readAt(p, f.pos)
	f.pos += int64(n)
	if n > 0 {
		err = nil
	}
	return n, err
}

func (f *memFile) ReadAt(p []byte, off int64) (int, error) {
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	return f.readAt(p, off)
}

func (f *memFile) readAt(p []byte, off int64) (int, error) {
	if err := f.check(false); err != nil {
		return 0, f.fail("read", err)
	}
	if off < 0 {
		return 0, f.fail("readat", syscall.EINVAL)
	}
	if len(p) == 0 {
		return 0, nil
	}
	if off >= int64(len(f.n.data)) {
		return 0, io.EOF
	}
	n := copy(p, f.n.data[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (f *memFile) Write(p []byte) (int, error) {
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	if f.flag&os.O_APPEND != 0 {
		f.pos = int64(len(f.n.data))
	}
	n, err := f.writeAt(p, f.pos)
	f.pos += int64(n)
	return n, err
}

func (f *memFile) WriteAt(p []byte, off int64) (int, error) {
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	if f.flag&os.O_APPEND != 0 {
		return 0, f.fail("writeat", syscall.EINVAL) // as *os.File refuses it
	}
	return f.writeAt(p, off)
}

func (f *memFile) writeAt(p []byte, off int64) (int, error) {
	if err := f.check(true); err != nil {
		return 0, f.fail("write", err)
	}
	if off < 0 {
		return 0, f.fail("writeat", syscall.EINVAL)
	}
	if len(p) == 0 {
		return 0, nil
	}
	var full error
	end := off + int64(len(p))
	if grow := end - int64(len(f.n.data)); f.m.opts.Space > 0 && grow > 0 && f.m.used+grow > f.m.opts.Space {
		end = max(off, end-(f.m.used+grow-f.m.opts.Space))
		p = p[:end-off]
		full = f.fail("write", syscall.ENOSPC)
		if len(p) == 0 {
			return 0, full
		}
	}
	if end > int64(len(f.n.data)) {
		f.m.resize(f.n, end)
	}
	copy(f.n.data[off:], p)
	f.m.touch(f.n, off, end)
	f.n.mtime = f.m.opts.Now()
	return len(p), full
}

func (f *memFile) Seek(offset int64, whence int) (int64, error) {
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	switch whence {
	case io.SeekCurrent:
		offset += f.pos
	case io.SeekEnd:
		offset += int64(len(f.n.data))
	}
	if f.closed {
		return 0, f.fail("seek", fs.ErrClosed)
	}
	if offset < 0 {
		return 0, f.fail("seek", syscall.EINVAL)
	}
	f.pos = offset
	return offset, nil
}

func (f *memFile) Stat() (fs.FileInfo, error) {
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	if f.closed {
		return nil, f.fail("stat", fs.ErrClosed)
	}
	return f.n.info(filepath.Base(f.name)), nil
}

// Sync makes the data durable, and with MemOptions.Journal every directory change so far.
func (f *memFile) Sync() error {
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	switch {
	case f.closed:
		return f.fail("sync", fs.ErrClosed)
	case f.n.mode.IsDir():
		f.m.syncDir(f.n)
		return nil
	}
	f.m.syncData(f.n)
	if f.m.opts.Journal {
		f.m.commit(func(int, *change) bool { return true })
	}
	return nil
}

func (f *memFile) Truncate(size int64) error {
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	err := f.check(true)
	grow := size - int64(len(f.n.data))
	switch {
	case err == syscall.EBADF || size < 0:
		err = syscall.EINVAL
	case err == nil && f.m.opts.Space > 0 && grow > 0 && f.m.used+grow > f.m.opts.Space:
		err = syscall.ENOSPC
	}
	if err != nil {
		return f.fail("truncate", err)
	}
	f.m.resize(f.n, size)
	f.n.mtime = f.m.opts.Now()
	return nil
}

func (f *memFile) Chmod(mode fs.FileMode) error {
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	if f.closed {
		return f.fail("chmod", fs.ErrClosed)
	}
	f.n.mode = f.n.mode&fs.ModeType | mode.Perm()
	return nil
}

func (f *memFile) Close() error {
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	if f.closed {
		return f.fail("close", fs.ErrClosed)
	}
	f.closed = true
	f.n.opens--
	f.m.drop(f.n)
	return nil
}

// resize changes the length of a file's data; new bytes are zero. Caller holds mu.
func (m *Mem) resize(n *inode, size int64) {
	old := int64(len(n.data))
	switch {
	case size < old:
		m.touch(n, size, old)
		n.data = n.data[:size]
	case size <= int64(cap(n.data)):
		n.data = n.data[:size]
		clear(n.data[old:])
		m.touch(n, old, size)
	default:
		n.data = append(n.data, make([]byte, size-old)...)
		m.touch(n, old, size)
	}
	m.used += size - old
}

// touch marks the blocks from start up to end as not durable. Caller holds mu.
func (m *Mem) touch(n *inode, start, end int64) {
	bs := int64(m.opts.BlockSize)
	for b := start / bs; b*bs < end; b++ {
		n.dirty[b] = true
	}
}

// syncData copies what changed to the durable side. Caller holds mu.
func (m *Mem) syncData(n *inode) {
	bs, size := int64(m.opts.BlockSize), int64(len(n.data))
	if have := int64(len(n.durable)); size <= have {
		n.durable = n.durable[:size]
	} else {
		n.durable = append(n.durable, n.data[have:]...)
	}
	for b := range n.dirty {
		if b*bs < size {
			copy(n.durable[b*bs:min((b+1)*bs, size)], n.data[b*bs:])
		}
	}
	clear(n.dirty)
}

// memInfo describes a file of a Mem at one moment.
type memInfo struct {
	name         string
	ino          uint64
	nlink        int
	size         int64
	mode         fs.FileMode
	atime, mtime time.Time
}

func (n *inode) info(name string) *memInfo {
	return &memInfo{name, n.ino, n.nlink, int64(len(n.data)), n.mode, n.atime, n.mtime}
}

func (i *memInfo) Name() string       { return i.name }
func (i *memInfo) Size() int64        { return i.size }
func (i *memInfo) Mode() fs.FileMode  { return i.mode }
func (i *memInfo) ModTime() time.Time { return i.mtime }
func (i *memInfo) IsDir() bool        { return i.mode.IsDir() }

package maildir

import (
	"bytes"
	"encoding/binary"
	"io/fs"
	"iter"
	"os"

	"golang.org/x/sys/unix"
)

// streamDir reads directory blocks itself: os.File.ReadDir makes an object for each entry.
func streamDir(dir string) iter.Seq2[dirent, error] {
	return func(yield func(dirent, error) bool) {
		f, err := os.Open(dir)
		if err != nil {
			yield(dirent{}, err)
			return
		}
		defer f.Close()
		buf := make([]byte, 64<<10)
		for {
			n, err := unix.Getdents(int(f.Fd()), buf)
			switch {
			case err == unix.EINTR:
				continue
			case err != nil:
				yield(dirent{}, &fs.PathError{Op: "readdir", Path: dir, Err: err})
				return
			case n == 0:
				return
			}
			for b := buf[:n]; len(b) >= 19; {
				// struct linux_dirent64: ino 8, off 8, reclen 2, type 1, name
				size := int(binary.NativeEndian.Uint16(b[16:]))
				if size < 19 || size > len(b) {
					yield(dirent{}, &fs.PathError{Op: "readdir", Path: dir, Err: unix.EIO})
					return
				}
				name := b[19:size]
				if i := bytes.IndexByte(name, 0); i >= 0 {
					name = name[:i]
				}
				typ := b[18]
				b = b[size:]
				if s := string(name); s != "." && s != ".." && !yield(dirent{s, fileType(typ)}, nil) {
					return
				}
			}
		}
	}
}

func fileType(t byte) fs.FileMode {
	switch t {
	case unix.DT_REG:
		return 0
	case unix.DT_DIR:
		return fs.ModeDir
	case unix.DT_LNK:
		return fs.ModeSymlink
	}
	return fs.ModeIrregular
}

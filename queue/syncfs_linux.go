package queue

import (
	"os"

	"golang.org/x/sys/unix"
)

// openWhole prepares for syncs of the whole file system. One descriptor serves all: the kernel reports through it every
// write error since it was opened, also those that others were told of. Where the directories are on several file
// systems each file is synced by itself after all.
func (d *Dir) openWhole() error {
	for _, s := range d.spools {
		if !sameDevice(d.root, s.qf) || !sameDevice(d.root, s.df) {
			return nil
		}
	}
	f, err := os.Open(d.root)
	if err != nil {
		return err
	}
	d.whole = &groupSync{sync: func() error { return syncFS(f) }}
	return nil
}

// syncFS makes everything on the file system of an open directory durable.
func syncFS(dir *os.File) error {
	conn, err := dir.SyscallConn()
	if err != nil {
		return err
	}
	var serr error
	if err := conn.Control(func(fd uintptr) { serr = unix.Syncfs(int(fd)) }); err != nil {
		return err
	}
	return serr
}

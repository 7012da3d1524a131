package queue

import (
	"fmt"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/mtakit/mtakit/internal/vfs"
)

// ordersChanges reports whether the file system of a directory puts changes of names and of files on disk in the order
// in which they were made, so that a name never survives without what was written out before it. That is known of ext4
// with its journal on the same device; everything else counts as not knowing.
func ordersChanges(dir string) bool {
	var fs unix.Statfs_t
	var st unix.Stat_t
	if unix.Statfs(dir, &fs) != nil || fs.Type != unix.EXT4_SUPER_MAGIC || unix.Stat(dir, &st) != nil {
		return false
	}
	dev, err := filepath.EvalSymlinks(fmt.Sprintf("/sys/dev/block/%d:%d", unix.Major(st.Dev), unix.Minor(st.Dev)))
	if err != nil {
		return false
	}
	// ext4 without a journal has no directory here; the number is the inode of the journal.
	found, err := filepath.Glob("/proc/fs/jbd2/" + filepath.Base(dev) + "-[0-9]*")
	return err == nil && len(found) > 0
}

// startWriting begins to write the content of a file to the device.
func startWriting(f vfs.File) error {
	return unix.SyncFileRange(int(f.Fd()), 0, 0, unix.SYNC_FILE_RANGE_WRITE)
}

// finishWriting returns when the content of a file was handed to the device. That makes nothing durable: its size, its
// place and the cache of the device are not seen to.
func finishWriting(f vfs.File) error {
	return unix.SyncFileRange(int(f.Fd()), 0, 0, unix.SYNC_FILE_RANGE_WAIT_BEFORE|unix.SYNC_FILE_RANGE_WRITE|unix.SYNC_FILE_RANGE_WAIT_AFTER)
}

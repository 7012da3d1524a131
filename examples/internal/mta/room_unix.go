//go:build unix

package mta

import (
	"golang.org/x/sys/unix"

	"github.com/mtakit/mtakit"
)

// minFree is what must stay free on the queue's file system when a message is announced (sendmail: MinFreeBlocks).
const minFree = 1 << 20

// room refuses a message that the queue's file system has no place for, before it is sent. A file system that does not
// tell is taken to have room: writing will find out.
func (m *MTA) room(size int64) error {
	var st unix.Statfs_t
	if unix.Statfs(m.cfg.QueueDir, &st) != nil {
		return nil
	}
	if int64(st.Bavail)*int64(st.Bsize) < size+minFree {
		return &mtakit.Error{Code: 452, Status: mtakit.StatusSystemFull, Text: "Insufficient disk space; try again later"}
	}
	return nil
}

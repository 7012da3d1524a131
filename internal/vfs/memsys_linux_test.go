package vfs_test

import (
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mtakit/mtakit/internal/vfs"
)

// What programs find in FileInfo.Sys is what AttrOf says, for a file of a Mem as for one of the operating system.
func TestMemSys(t *testing.T) {
	t.Parallel()
	for name, fsys := range map[string]vfs.FS{"mem": vfs.NewMem(nil), "os": vfs.OS} {
		dir := t.TempDir()
		if name == "mem" {
			dir = ""
		}
		write(t, fsys, dir+"/a", "text", true)
		require.NoError(t, fsys.Link(dir+"/a", dir+"/b"))
		fi, err := fsys.Stat(dir + "/a")
		require.NoError(t, err)
		attr, ok := vfs.AttrOf(fi)
		require.True(t, ok)
		require.EqualValues(t, 2, attr.Nlink)
		st := fi.Sys().(*syscall.Stat_t)
		require.Equal(t, vfs.Attr{Dev: uint64(st.Dev), Ino: st.Ino, Nlink: uint64(st.Nlink), UID: int(st.Uid), GID: int(st.Gid)},
			vfs.Attr{Dev: attr.Dev, Ino: attr.Ino, Nlink: attr.Nlink, UID: attr.UID, GID: attr.GID}, name)
		require.Equal(t, [2]int64{st.Atim.Nano(), st.Ctim.Nano()}, [2]int64{attr.Accessed.UnixNano(), attr.Changed.UnixNano()}, name)
	}
}

package durable_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mtakit/mtakit/internal/durable"
	"github.com/mtakit/mtakit/internal/vfs"
)

// slowFS takes a millisecond of (fake) time for a directory sync, and counts them.
type slowFS struct {
	vfs.FS
	syncs  atomic.Int32
	active atomic.Int32
	err    error
}

func (s *slowFS) SyncDir(name string) error {
	s.syncs.Add(1)
	if s.active.Add(1) > 2 {
		panic("more than one sync per directory at once")
	}
	time.Sleep(time.Millisecond)
	s.active.Add(-1)
	return errors.Join(s.err, s.FS.SyncDir(name))
}

func TestDirSyncerShares(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		mem := vfs.NewMem(nil)
		require.NoError(t, mem.Mkdir("a", 0o700))
		require.NoError(t, mem.Mkdir("b", 0o700))
		slow := &slowFS{FS: mem}
		s := durable.NewDirSyncer(slow)
		var wg sync.WaitGroup
		for i := range 100 {
			wg.Go(func() {
				time.Sleep(time.Duration(i) * 10 * time.Microsecond) // all within the first sync
				assert.NoError(t, s.Sync([]string{"a", "b/"}[i%2]))
			})
		}
		start := time.Now()
		wg.Wait()
		assert.EqualValues(t, 4, slow.syncs.Load(), "per directory one for the first caller, one for all others")
		assert.Less(t, time.Since(start), 3*time.Millisecond, "the directories did not wait for each other")
		require.NoError(t, s.Sync("a"))
		assert.EqualValues(t, 5, slow.syncs.Load(), "an idle directory is synced at once")
	})
}

func TestDirSyncerError(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		slow := &slowFS{FS: vfs.NewMem(nil), err: syscall.EIO}
		s := durable.NewDirSyncer(slow)
		var wg sync.WaitGroup
		for range 10 {
			wg.Go(func() { assert.ErrorIs(t, s.Sync("/"), syscall.EIO) })
		}
		wg.Wait()
		slow.err = nil
		require.NoError(t, s.Sync("/"), "an error is not remembered")
	})
}

// TestDirSyncerPromise has many writers create a file, sync, and look whether the entry is durable at once: a caller
// must never be served by an fsync that began before its change.
func TestDirSyncerPromise(t *testing.T) {
	t.Parallel()
	mem := vfs.NewMem(nil)
	s := durable.NewDirSyncer(mem)
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			for i := range 40 {
				name := fmt.Sprintf("f%d-%d", w, i)
				f, err := mem.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
				if !assert.NoError(t, err) || !assert.NoError(t, f.Close()) || !assert.NoError(t, s.Sync("/")) {
					return
				}
				if i%8 == 0 {
					_, err = mem.Crash(vfs.CrashDrop, 0).Stat(name)
					assert.NoError(t, err)
				}
			}
		})
	}
	wg.Wait()
}

// BenchmarkCommit creates, writes, syncs and renames 4 KB files on the real file system with several writers, each
// syncing the directory itself or sharing the sync. The gain is the disk's: nil where fsync costs nothing.
func BenchmarkCommit(b *testing.B) {
	data := make([]byte, 4096)
	for _, writers := range []int{1, 10, 50} {
		for _, shared := range []bool{false, true} {
			b.Run(fmt.Sprintf("writers=%d/shared=%v", writers, shared), func(b *testing.B) {
				dir := b.TempDir()
				fsys := &countingFS{FS: vfs.OS}
				var s *durable.DirSyncer
				if shared {
					s = durable.NewDirSyncer(fsys)
				}
				b.SetBytes(int64(len(data)))
				b.ReportAllocs()
				var n atomic.Int64
				var wg sync.WaitGroup
				for range writers {
					wg.Go(func() {
						for i := n.Add(1); i <= int64(b.N); i = n.Add(1) {
							if err := commit(fsys, s, filepath.Join(dir, fmt.Sprint(i)), data); err != nil {
								b.Error(err)
								return
							}
						}
					})
				}
				wg.Wait()
				b.ReportMetric(float64(fsys.syncs.Load())/float64(b.N), "dirsyncs/op")
			})
		}
	}
}

// countingFS counts directory syncs.
type countingFS struct {
	vfs.FS
	syncs atomic.Int64
}

func (c *countingFS) SyncDir(name string) error {
	c.syncs.Add(1)
	return c.FS.SyncDir(name)
}

func commit(fsys vfs.FS, s *durable.DirSyncer, name string, data []byte) error {
	f, err := fsys.OpenFile(name+".tmp", os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return durable.Rename(fsys, s, name+".tmp", name)
}

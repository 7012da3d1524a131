package maildir

import (
	"github.com/mtakit/mtakit/internal/durable"
	"github.com/mtakit/mtakit/internal/vfs"
)

// Syncer lets deliveries share the fsync of a directory: those that come while one runs wait for the next, which serves
// them all. Share one between all Dirs of a process. It is safe for concurrent use.
type Syncer struct{ dirs *durable.DirSyncer }

// NewSyncer returns a Syncer for the operating system's files.
func NewSyncer() *Syncer { return newSyncer(vfs.OS) }

func newSyncer(fsys vfs.FS) *Syncer { return &Syncer{durable.NewDirSyncer(fsys)} }

// Sync returns when everything that had been done in dir before the call is durable.
func (s *Syncer) Sync(dir string) error { return s.dirs.Sync(dir) }

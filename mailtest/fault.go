package mailtest

import (
	"testing"

	"github.com/mtakit/mtakit/internal/vfs"
)

// FS is the seam between the packages that must not lose data (mbox, maildir, queue, stats) and the file system; their
// options take one. OS is the real one, Mem one in memory that knows what a power cut would leave of it, Faults one that
// stops or fails at chosen operations.
type FS = vfs.FS

// File is an open file of an FS. *os.File is one.
type File = vfs.File

// Mem is a file system in memory. Its Crash method shows what is left after a power cut.
type Mem = vfs.Mem

// MemOptions chooses how kind a Mem is, how much fits on it, and its clock.
type MemOptions = vfs.MemOptions

// Faults wraps an FS: it lists operations, stops at one, or makes some fail.
type Faults = vfs.Faults

// Fault tells a Faults which operations fail, and how.
type Fault = vfs.Fault

// Call is one operation that a Faults saw.
type Call = vfs.Call

// Op is a set of kinds of operation.
type Op = vfs.Op

// The kinds of operation.
const (
	OpOpen     = vfs.OpOpen
	OpCreate   = vfs.OpCreate
	OpRead     = vfs.OpRead
	OpWrite    = vfs.OpWrite
	OpSync     = vfs.OpSync
	OpTruncate = vfs.OpTruncate
	OpRename   = vfs.OpRename
	OpLink     = vfs.OpLink
	OpRemove   = vfs.OpRemove
	OpMkdir    = vfs.OpMkdir
	OpStat     = vfs.OpStat
	OpReadDir  = vfs.OpReadDir
	OpChmod    = vfs.OpChmod
	OpChtimes  = vfs.OpChtimes
	OpSyncDir  = vfs.OpSyncDir
	OpChange   = vfs.OpChange // everything that changes something or makes it durable
	OpAny      = vfs.OpAny
)

// CrashKind says what a power cut leaves of the changes that were not synced.
type CrashKind = vfs.CrashKind

// The kinds of crash.
const (
	CrashDrop   = vfs.CrashDrop   // nothing that was not synced
	CrashNames  = vfs.CrashNames  // all names, without the data that was not synced
	CrashTorn   = vfs.CrashTorn   // all names, and the first blocks of the data
	CrashRandom = vfs.CrashRandom // a pseudo-random part of both
	CrashKill   = vfs.CrashKill   // everything: only the process died
)

// CrashPoint says where a scenario was stopped.
type CrashPoint = vfs.CrashPoint

// CrashOptions tunes EachCrashPoint and EachFault.
type CrashOptions = vfs.CrashOptions

// ErrCrashed is the answer to every operation after a crash.
var ErrCrashed = vfs.ErrCrashed

// OS is the file system of the operating system.
func OS() FS { return vfs.OS }

// NewMem makes an empty file system in memory. Options may be nil.
func NewMem(o *MemOptions) *Mem { return vfs.NewMem(o) }

// NewFaults wraps a file system; it counts the operations in counted, zero meaning all.
func NewFaults(fsys FS, counted Op) *Faults { return vfs.NewFaults(fsys, counted) }

// EachCrashPoint runs scenario once for every change that it makes to a file system, stopped there as by a power cut,
// and hands check what is left of the file system after each kind of crash, together with what scenario returned: the
// promises it had made. Options may be nil. It returns the number of crashes checked.
func EachCrashPoint[T testing.TB, A any](t T, o *CrashOptions, scenario func(FS) A, check func(t T, p CrashPoint, promised A, fsys FS)) int {
	t.Helper()
	return vfs.EachCrashPointWith(t, o, scenario, check)
}

// EachFault runs scenario once for every operation that it makes, that one failing with err (syscall.ENOSPC, EDQUOT,
// EIO), and hands check the file system as it is then. Options may be nil. It returns the number of faults checked.
func EachFault[T testing.TB, A any](t T, err error, o *CrashOptions, scenario func(FS) A, check func(t T, c Call, promised A, fsys FS)) int {
	t.Helper()
	return vfs.EachFaultWith(t, err, o, scenario, check)
}

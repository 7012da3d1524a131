package safefile

import (
	"errors"
	"io/fs"
	"syscall"
)

// Reason says why a file is not believed, in sendmail's words. It is an error.
type Reason string

// The reasons, in the order of the checks.
const (
	WorldWritableDir  Reason = "World writable directory"
	GroupWritableDir  Reason = "Group writable directory"
	SymLink           Reason = "Symbolic links not allowed"
	NotRegular        Reason = "Regular files only"
	GroupWritableFile Reason = "Group writable file"
	WorldWritableFile Reason = "World writable file"
	Executable        Reason = "Executable files not allowed"
	HardLink          Reason = "Hard links not allowed"
	Denied            Reason = "Permission denied"
	Outside           Reason = "Outside of the permitted directory"
)

// Error returns the reason's text.
func (r Reason) Error() string { return string(r) }

// ErrChanged means that a file or directory was replaced while it was examined, again and again. It says nothing
// about the file: try later.
var ErrChanged = errors.New("file changed after open")

// Is makes Denied an fs.ErrPermission.
func (r Reason) Is(target error) bool { return r == Denied && target == fs.ErrPermission }

// Absent reports whether err means that there is no such file: a component is missing or not a directory.
func Absent(err error) bool {
	return errors.Is(err, syscall.ENOENT) || errors.Is(err, syscall.ENOTDIR)
}

// Refused reports whether err is a verdict about the file that will be the same next time, unless somebody changes
// the file: a Reason, or a name that cannot exist.
func Refused(err error) bool {
	var r Reason
	return errors.As(err, &r) || errors.Is(err, syscall.ELOOP) || errors.Is(err, syscall.ENAMETOOLONG)
}

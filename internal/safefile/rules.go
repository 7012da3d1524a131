package safefile

import (
	"io/fs"
	"os"
)

// Identity is the user in whose name a file is examined.
type Identity struct {
	UID, GID int
	// Member tells whether the user is in a group besides GID. Nil means in none.
	Member func(gid int) bool
}

// Rules says which checks apply. The zero value is the strict form for a file that anybody may own.
type Rules struct {
	GroupWritable    bool // the file may be group writable
	WorldWritable    bool // the file may be world writable
	NoExecute        bool // the file must not be executable
	Linked           bool // the file may be a link although the directory is unsafe
	UnsafeDir        bool // directories may be unsafe
	GroupWritableDir bool // directories may be group writable, which makes them tolerated; see File.Unsafe
	GroupDirSafe     bool // group writable directories are safe
	TrustSticky      bool // unsafe directories with the sticky bit are safe
	NoDirs           bool // directories are not examined, except for the link rule
	MustOwn          bool // the file must belong to the identity, to root, or to TrustedUID
	TrustedUID       int  // zero, root, adds nothing
	OwnerBits        bool // root may read what the owner may read, whoever that is
	MissingFirst     bool // a link that leads nowhere is a missing file even where links are not allowed
}

// File is an open file that passed the checks.
type File struct {
	*os.File
	Mode fs.FileMode
	Size int64
	UID  int // the owner
	GID  int
	// UnsafeDir is the reason why the directories of the path are unsafe though tolerated, or "". Vouched is true if
	// they were tolerated as group writable ones, which does not make the file less trustworthy.
	UnsafeDir Reason
	Vouched   bool
}

// UnsafeDir is a directory that others may write to.
type UnsafeDir struct {
	Path   string
	Reason Reason
}

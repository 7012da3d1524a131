package listfile

import (
	"bufio"
	"os"
	"os/user"
	"slices"
	"strconv"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"github.com/mtakit/mtakit"
	"github.com/mtakit/mtakit/internal/safefile"
)

// Kind tells forward files and include files apart: each has its own words in DontBlameSendmail.
type Kind struct {
	mustOwn                                         bool
	unsafeDir, unsafeDirSafe, groupDir, linked      mtakit.DontBlame
	groupWritable, groupWritableSafe, worldWritable mtakit.DontBlame
}

// The kinds of list files.
var (
	Forward = Kind{
		mustOwn:           true,
		unsafeDir:         mtakit.DontBlameForwardFileInUnsafeDirPath,
		unsafeDirSafe:     mtakit.DontBlameForwardFileInUnsafeDirPathSafe,
		groupDir:          mtakit.DontBlameForwardFileInGroupWritableDirPath,
		linked:            mtakit.DontBlameLinkedForwardFileInWritableDir,
		groupWritable:     mtakit.DontBlameGroupWritableForwardFile,
		groupWritableSafe: mtakit.DontBlameGroupWritableForwardFileSafe,
		worldWritable:     mtakit.DontBlameWorldWritableForwardFile,
	}
	Include = Kind{
		unsafeDir:         mtakit.DontBlameIncludeFileInUnsafeDirPath,
		unsafeDirSafe:     mtakit.DontBlameIncludeFileInUnsafeDirPathSafe,
		groupDir:          mtakit.DontBlameIncludeFileInGroupWritableDirPath,
		linked:            mtakit.DontBlameLinkedIncludeFileInWritableDir,
		groupWritable:     mtakit.DontBlameGroupWritableIncludeFile,
		groupWritableSafe: mtakit.DontBlameGroupWritableIncludeFileSafe,
		worldWritable:     mtakit.DontBlameWorldWritableIncludeFile,
	}
)

// Rules returns the safety rules that are left in force.
func (k Kind) Rules(blame mtakit.DontBlame, trustedUID int) safefile.Rules {
	return safefile.Rules{
		GroupWritable:    blame.Has(k.groupWritable),
		WorldWritable:    blame.Has(k.worldWritable),
		Linked:           blame.Has(k.linked),
		UnsafeDir:        blame.Has(k.unsafeDir),
		GroupWritableDir: blame.Has(k.groupDir),
		GroupDirSafe:     blame.Has(mtakit.DontBlameGroupWritableDirPathSafe),
		TrustSticky:      blame.Has(mtakit.DontBlameTrustStickyBit),
		MustOwn:          k.mustOwn,
		TrustedUID:       trustedUID,
	}
}

// Unsafe tells why programs and files in an accepted file must not be used: somebody else may have written them. It
// returns nil when they may be used.
func (k Kind) Unsafe(f *safefile.File, blame mtakit.DontBlame) error {
	switch {
	case f.Mode&0o002 != 0:
		return safefile.WorldWritableFile
	case f.Mode&0o020 != 0 && !blame.Has(k.groupWritableSafe):
		return safefile.GroupWritableFile
	case f.UnsafeDir != "" && !f.Vouched && !blame.Has(k.unsafeDirSafe):
		return f.UnsafeDir
	}
	return nil
}

// Text is the text of an error in opening or reading as sendmail prints it: with a capital letter, and for system
// errors without the name of the operation.
func Text(err error) string {
	for {
		u, ok := err.(interface{ Unwrap() error })
		if !ok || u.Unwrap() == nil {
			break
		}
		err = u.Unwrap()
	}
	s := err.Error()
	r, n := utf8.DecodeRuneInString(s)
	return string(unicode.ToUpper(r)) + s[n:]
}

// AnyShell is the line of the shells file that accepts every shell.
const AnyShell = "/SENDMAIL/ANY/SHELL/"

// ShellsFile returns a function that tells whether a login shell is in the file, one shell on a line, as getusershell(3)
// reads it. The file is read at every call. When it cannot be read, /bin/sh and /bin/csh are valid.
func ShellsFile(path string) func(shell string) bool {
	return func(shell string) bool {
		if shell == "" {
			shell = "/bin/sh" // passwd(5)
		}
		f, err := os.Open(path)
		if err != nil {
			return shell == "/bin/sh" || shell == "/bin/csh"
		}
		defer f.Close()
		s := bufio.NewScanner(f)
		for s.Scan() {
			line, _, _ := strings.Cut(s.Text(), "#")
			if line = strings.TrimSpace(line); line != "" && (line == shell || line == AnyShell) {
				return true
			}
		}
		return false
	}
}

// SystemMember returns a function that tells whether a user of this machine is in a group. It asks the system at
// its first call.
func SystemMember(name string) func(gid int) bool {
	groups := sync.OnceValue(func() []string {
		u, err := user.Lookup(name)
		if err != nil {
			return nil
		}
		ids, _ := u.GroupIds()
		return ids
	})
	return func(gid int) bool { return slices.Contains(groups(), strconv.Itoa(gid)) }
}

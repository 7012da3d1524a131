package mtakit

import (
	"errors"
	"fmt"
	"math/bits"
	"strings"
)

// DontBlame is the set of safety rules about files that an administrator has switched off: sendmail's
// DontBlameSendmail option. The zero value, all rules in force, is the safe one. Each constant is named after the
// word that sendmail's configuration uses.
type DontBlame uint64

// The words of DontBlameSendmail, in alphabetical order.
const (
	// DontBlameAssumeSafeChown: chown(2) is assumed to be restricted to root.
	DontBlameAssumeSafeChown DontBlame = 1 << iota
	// DontBlameCertOwner: certificate files may belong to somebody else.
	DontBlameCertOwner
	// DontBlameClassFileInUnsafeDirPath: class files may lie in unsafe directories.
	DontBlameClassFileInUnsafeDirPath
	// DontBlameDontWarnForwardFileInUnsafeDirPath: no log entry for a forward file refused because of its directories.
	DontBlameDontWarnForwardFileInUnsafeDirPath
	// DontBlameErrorHeaderInUnsafeDirPath: the error header file may lie in unsafe directories.
	DontBlameErrorHeaderInUnsafeDirPath
	// DontBlameFileDeliveryToHardLink: deliver to files that are hard links.
	DontBlameFileDeliveryToHardLink
	// DontBlameFileDeliveryToSymLink: deliver to files that are symbolic links.
	DontBlameFileDeliveryToSymLink
	// DontBlameForwardFileInGroupWritableDirPath: accept forward files in group writable directories.
	DontBlameForwardFileInGroupWritableDirPath
	// DontBlameForwardFileInUnsafeDirPath: accept forward files in unsafe directories, but no programs and files in them.
	DontBlameForwardFileInUnsafeDirPath
	// DontBlameForwardFileInUnsafeDirPathSafe: and programs and files in them, too.
	DontBlameForwardFileInUnsafeDirPathSafe
	// DontBlameGroupReadableDefaultAuthInfoFile: the default authentication file may be group readable.
	DontBlameGroupReadableDefaultAuthInfoFile
	// DontBlameGroupReadableKeyFile: TLS key files may be group readable.
	DontBlameGroupReadableKeyFile
	// DontBlameGroupReadableSASLDBFile: the SASL database may be group readable.
	DontBlameGroupReadableSASLDBFile
	// DontBlameGroupWritableAliasFile: the alias file may be group writable.
	DontBlameGroupWritableAliasFile
	// DontBlameGroupWritableDirPathSafe: group writable directories are safe.
	DontBlameGroupWritableDirPathSafe
	// DontBlameGroupWritableForwardFile: accept group writable forward files, but no programs and files in them.
	DontBlameGroupWritableForwardFile
	// DontBlameGroupWritableForwardFileSafe: and programs and files in them, too.
	DontBlameGroupWritableForwardFileSafe
	// DontBlameGroupWritableIncludeFile: accept group writable include files, but no programs and files in them.
	DontBlameGroupWritableIncludeFile
	// DontBlameGroupWritableIncludeFileSafe: and programs and files in them, too.
	DontBlameGroupWritableIncludeFileSafe
	// DontBlameGroupWritableSASLDBFile: the SASL database may be group writable.
	DontBlameGroupWritableSASLDBFile
	// DontBlameHelpFileInUnsafeDirPath: the help file may lie in unsafe directories.
	DontBlameHelpFileInUnsafeDirPath
	// DontBlameIncludeFileInGroupWritableDirPath: accept include files in group writable directories.
	DontBlameIncludeFileInGroupWritableDirPath
	// DontBlameIncludeFileInUnsafeDirPath: accept include files in unsafe directories, but no programs and files in them.
	DontBlameIncludeFileInUnsafeDirPath
	// DontBlameIncludeFileInUnsafeDirPathSafe: and programs and files in them, too.
	DontBlameIncludeFileInUnsafeDirPathSafe
	// DontBlameInsufficientEntropy: use TLS although the random generator is not seeded.
	DontBlameInsufficientEntropy
	// DontBlameLinkedAliasFileInWritableDir: the alias file may be a link in a writable directory.
	DontBlameLinkedAliasFileInWritableDir
	// DontBlameLinkedClassFileInWritableDir: class files may be links in writable directories.
	DontBlameLinkedClassFileInWritableDir
	// DontBlameLinkedForwardFileInWritableDir: forward files may be links in writable directories.
	DontBlameLinkedForwardFileInWritableDir
	// DontBlameLinkedIncludeFileInWritableDir: include files may be links in writable directories.
	DontBlameLinkedIncludeFileInWritableDir
	// DontBlameLinkedMapInWritableDir: maps may be links in writable directories.
	DontBlameLinkedMapInWritableDir
	// DontBlameLinkedServiceSwitchFileInWritableDir: the service switch file may be a link in a writable directory.
	DontBlameLinkedServiceSwitchFileInWritableDir
	// DontBlameMapInUnsafeDirPath: maps may lie in unsafe directories.
	DontBlameMapInUnsafeDirPath
	// DontBlameNonRootSafeAddr: programs and files are safe although the server does not run as root.
	DontBlameNonRootSafeAddr
	// DontBlameRunProgramInUnsafeDirPath: run programs in unsafe directories without a warning.
	DontBlameRunProgramInUnsafeDirPath
	// DontBlameRunWritableProgram: run programs that are group or world writable without a warning.
	DontBlameRunWritableProgram
	// DontBlameTrustStickyBit: group and world writable directories with the sticky bit are safe.
	DontBlameTrustStickyBit
	// DontBlameWorldWritableAliasFile: the alias file may be world writable.
	DontBlameWorldWritableAliasFile
	// DontBlameWorldWritableForwardFile: accept world writable forward files, but no programs and files in them.
	DontBlameWorldWritableForwardFile
	// DontBlameWorldWritableIncludeFile: accept world writable include files, but no programs and files in them.
	DontBlameWorldWritableIncludeFile
	// DontBlameWriteMapToHardLink: write maps that are hard links.
	DontBlameWriteMapToHardLink
	// DontBlameWriteMapToSymLink: write maps that are symbolic links.
	DontBlameWriteMapToSymLink
	// DontBlameWriteStatsToHardLink: write the statistics to a hard link.
	DontBlameWriteStatsToHardLink
	// DontBlameWriteStatsToSymLink: write the statistics to a symbolic link.
	DontBlameWriteStatsToSymLink
)

// dontBlameWords are the words in the order of the constants.
var dontBlameWords = [...]string{
	"AssumeSafeChown",
	"CertOwner",
	"ClassFileInUnsafeDirPath",
	"DontWarnForwardFileInUnsafeDirPath",
	"ErrorHeaderInUnsafeDirPath",
	"FileDeliveryToHardLink",
	"FileDeliveryToSymLink",
	"ForwardFileInGroupWritableDirPath",
	"ForwardFileInUnsafeDirPath",
	"ForwardFileInUnsafeDirPathSafe",
	"GroupReadableDefaultAuthInfoFile",
	"GroupReadableKeyFile",
	"GroupReadableSASLDBFile",
	"GroupWritableAliasFile",
	"GroupWritableDirPathSafe",
	"GroupWritableForwardFile",
	"GroupWritableForwardFileSafe",
	"GroupWritableIncludeFile",
	"GroupWritableIncludeFileSafe",
	"GroupWritableSASLDBFile",
	"HelpFileInUnsafeDirPath",
	"IncludeFileInGroupWritableDirPath",
	"IncludeFileInUnsafeDirPath",
	"IncludeFileInUnsafeDirPathSafe",
	"InsufficientEntropy",
	"LinkedAliasFileInWritableDir",
	"LinkedClassFileInWritableDir",
	"LinkedForwardFileInWritableDir",
	"LinkedIncludeFileInWritableDir",
	"LinkedMapInWritableDir",
	"LinkedServiceSwitchFileInWritableDir",
	"MapInUnsafeDirPath",
	"NonRootSafeAddr",
	"RunProgramInUnsafeDirPath",
	"RunWritableProgram",
	"TrustStickyBit",
	"WorldWritableAliasFile",
	"WorldWritableForwardFile",
	"WorldWritableIncludeFile",
	"WriteMapToHardLink",
	"WriteMapToSymLink",
	"WriteStatsToHardLink",
	"WriteStatsToSymLink",
}

// ParseDontBlame reads the value of sendmail's DontBlameSendmail option: words in any case, separated by commas,
// blanks or other punctuation. "Safe" stands for the empty set and takes back what was named before it. Unknown words are errors, as they
// are in sendmail, and do not keep the others from being taken.
func ParseDontBlame(s string) (DontBlame, error) {
	var d DontBlame
	var errs []error
words:
	for _, w := range strings.FieldsFunc(s, func(r rune) bool {
		return r < 0x80 && !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9')
	}) {
		if strings.EqualFold(w, "Safe") {
			d = 0
			continue
		}
		for i, known := range dontBlameWords {
			if strings.EqualFold(w, known) {
				d |= 1 << i
				continue words
			}
		}
		errs = append(errs, fmt.Errorf("DontBlameSendmail option: %s unrecognized", w))
	}
	return d, errors.Join(errs...)
}

// Has reports whether all of want are in the set.
func (d DontBlame) Has(want DontBlame) bool { return d&want == want }

// String prints the words in alphabetical order, separated by commas, or Safe when there are none.
func (d DontBlame) String() string {
	var words []string
	for rest := uint64(d); rest != 0; rest &= rest - 1 {
		if i := bits.TrailingZeros64(rest); i < len(dontBlameWords) {
			words = append(words, dontBlameWords[i])
		}
	}
	if words == nil {
		return "Safe"
	}
	return strings.Join(words, ",")
}

package mailtest

import (
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"
)

// MaildirTime is the modification time of fixture files, and the one that their names begin with.
var MaildirTime = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// MaildirFile is something in a Maildir tree.
type MaildirFile struct {
	Path string        // below the Maildir, with slashes: "new/1767323045.M1P1.host", ".Sent/cur/…"; with a slash at the end a directory
	Text string        // content
	Age  time.Duration // how long before now it was last touched; zero means MaildirTime
	Link string        // a symbolic link to this
	Same string        // a hard link to this other path of the tree, which must come before
	Mode os.FileMode   // zero means 0600, or 0700 for directories
}

// Maildir makes a Maildir with cur, new and tmp and these files in a new directory and returns its path. Directories
// of a path are made as needed. On Windows, where names have no colons, the names have semicolons in their place: give
// maildir.Options.Separator ';' there.
func Maildir(tb testing.TB, files ...MaildirFile) string {
	tb.Helper()
	return MaildirTree{Files: append([]MaildirFile{{Path: "cur/"}, {Path: "new/"}, {Path: "tmp/"}}, files...)}.Create(tb)
}

// NewMail is a message in new, as a delivery leaves it. The n-th message of a Maildir has a name of its own.
func NewMail(n int, text string) MaildirFile {
	return MaildirFile{Path: "new/" + maildirName(n), Text: withNewline(text)}
}

// SeenMail is a message in cur with flags, "S" or "FRS"; "" for none.
func SeenMail(n int, flags, text string) MaildirFile {
	return MaildirFile{Path: "cur/" + maildirName(n) + ":2," + flags, Text: withNewline(text)}
}

func maildirName(n int) string {
	return strconv.FormatInt(MaildirTime.Unix()+int64(n), 10) + ".M1P1Q" + strconv.Itoa(n) + ".host.example"
}

// MaildirTree is a Maildir in some state.
type MaildirTree struct {
	Name, About string
	Messages    int // how many messages a reader should list in the root folder
	Files       []MaildirFile
}

// Create makes the tree in a new directory and returns its path.
func (t MaildirTree) Create(tb testing.TB) string {
	tb.Helper()
	root := filepath.Join(tb.TempDir(), "Maildir")
	check := func(err error) {
		tb.Helper()
		if err != nil {
			tb.Fatal(err)
		}
	}
	check(os.MkdirAll(root, 0o700))
	for _, f := range t.Files {
		path := filepath.Join(root, filepath.FromSlash(fileName(f.Path)))
		check(os.MkdirAll(filepath.Dir(path), 0o700))
		mode := f.Mode
		switch {
		case strings.HasSuffix(f.Path, "/"):
			check(os.MkdirAll(path, 0o700))
			if mode != 0 {
				check(os.Chmod(path, mode))
			}
			continue
		case f.Link != "":
			check(os.Symlink(f.Link, path))
			continue
		case f.Same != "":
			check(os.Link(filepath.Join(root, filepath.FromSlash(fileName(f.Same))), path))
			continue
		}
		if mode == 0 {
			mode = 0o600
		}
		check(os.WriteFile(path, []byte(f.Text), 0o600))
		check(os.Chmod(path, mode))
		at := MaildirTime
		if f.Age != 0 {
			at = time.Now().Add(-f.Age)
		}
		check(os.Chtimes(path, at, at))
	}
	return root
}

// fileName is a path as the system can have it.
func fileName(path string) string {
	if runtime.GOOS == "windows" {
		return strings.ReplaceAll(path, ":", ";")
	}
	return path
}

// MaildirTrees lists Maildirs in every state that readers and cleaners meet.
func MaildirTrees() []MaildirTree {
	base := []MaildirFile{{Path: "cur/"}, {Path: "new/"}, {Path: "tmp/"}}
	hello := "Subject: hello\n\nHello\n"
	tree := func(name, about string, n int, files ...MaildirFile) MaildirTree {
		return MaildirTree{name, about, n, append(append([]MaildirFile(nil), base...), files...)}
	}
	one := maildirName(1)
	return []MaildirTree{
		tree("empty", "no messages", 0),
		tree("new", "one message that nobody has seen", 1, NewMail(1, hello)),
		tree("cur", "one message that was read", 1, SeenMail(1, "S", hello)),
		tree("many-flags", "all flags, out of order, doubled, unknown and keyword letters", 5, SeenMail(1, "DFPRST", hello),
			SeenMail(2, "SRF", hello), SeenMail(3, "SSS", hello), SeenMail(4, "SXy!", hello), SeenMail(5, "Sabz", hello)),
		tree("no-info", "a file in cur without flags part", 1, MaildirFile{Path: "cur/" + one, Text: hello}),
		tree("odd-info", "flags parts that are none", 3, MaildirFile{Path: "cur/" + maildirName(1) + ":", Text: hello},
			MaildirFile{Path: "cur/" + maildirName(2) + ":1,x", Text: hello}, MaildirFile{Path: "cur/" + maildirName(3) + ":2", Text: hello}),
		tree("info-in-new", "a file in new with flags", 1, MaildirFile{Path: "new/" + one + ":2,F", Text: hello}),
		tree("same-base", "one message in new and cur: a move was cut off", 1, NewMail(1, hello),
			MaildirFile{Path: "cur/" + one + ":2,", Same: "new/" + one}),
		tree("two-infos", "one base twice in cur, with different contents: two messages", 2, SeenMail(1, "S", hello), SeenMail(1, "RS", hello+"other\n")),
		tree("sizes", "sizes in names: right, wrong and malformed", 3,
			MaildirFile{Path: "cur/" + maildirName(1) + ",S=22:2,S", Text: hello}, MaildirFile{Path: "cur/" + maildirName(2) + ",S=9999:2,S", Text: hello},
			MaildirFile{Path: "cur/" + maildirName(3) + ",S=x,W=:2,S", Text: hello}),
		tree("dot-files", "names that begin with a dot are no messages", 1, NewMail(1, hello),
			MaildirFile{Path: "new/.hidden", Text: "x"}, MaildirFile{Path: "cur/.nfs0001", Text: "x"}),
		tree("odd-names", "old, escaped, 8-bit and long names", 4, MaildirFile{Path: "new/1767323045.1.host", Text: hello},
			MaildirFile{Path: `new/1767323046.1.a\057b\072c`, Text: hello}, MaildirFile{Path: "new/1767323047.1.h\xf6st", Text: hello},
			MaildirFile{Path: "new/1767323048.1." + strings.Repeat("h", 230), Text: hello}),
		tree("directories", "directories among the messages", 1, NewMail(1, hello), MaildirFile{Path: "new/dir/"}, MaildirFile{Path: "cur/dir:2,S/"}),
		tree("symlinks", "a link to a message, and one to nothing", 2, NewMail(1, hello),
			MaildirFile{Path: "cur/" + maildirName(2) + ":2,S", Link: "../new/" + one}, MaildirFile{Path: "cur/" + maildirName(3) + ":2,S", Link: "gone"}),
		tree("empty-file", "a message of no bytes", 1, MaildirFile{Path: "new/" + one}),
		tree("fresh-tmp", "a delivery under way", 0, MaildirFile{Path: "tmp/" + one, Text: hello, Age: time.Hour}),
		tree("stale-tmp", "a delivery that died two days ago", 0, MaildirFile{Path: "tmp/" + one, Text: hello, Age: 48 * time.Hour}),
		tree("folders", "Maildir++ folders, one with a coded name, one without parent", 1, NewMail(1, hello),
			MaildirFile{Path: ".Sent/cur/" + maildirName(2) + ":2,S", Text: hello}, MaildirFile{Path: ".Sent/new/"}, MaildirFile{Path: ".Sent/tmp/"},
			MaildirFile{Path: ".Sent/maildirfolder"}, MaildirFile{Path: ".Entw&APw-rfe/cur/"}, MaildirFile{Path: ".A.B/cur/"}, MaildirFile{Path: ".nocur/"}),
		tree("quota", "a maildirsize file that agrees", 1, MaildirFile{Path: "maildirsize", Text: "1000S,10C\n22 1\n"},
			MaildirFile{Path: "new/" + one + ",S=22", Text: hello}),
		tree("quota-broken", "a maildirsize file that adds up to less than nothing", 1, MaildirFile{Path: "maildirsize", Text: "1000S\n22 1\n-44 -2\n"}, NewMail(1, hello)),
		tree("dovecot", "files of Dovecot beside the messages", 1, SeenMail(1, "Sa", hello), MaildirFile{Path: "dovecot-keywords", Text: "0 $Junk\n"},
			MaildirFile{Path: "dovecot-uidlist", Text: "3 V1767323045 N2 G0123456789abcdef0123456789abcdef\n1 :" + one + "\n"}),
		{"no-tmp", "tmp is missing", 1, []MaildirFile{{Path: "cur/"}, NewMail(1, hello)}},
		{"no-new", "new is missing", 1, []MaildirFile{{Path: "tmp/"}, SeenMail(1, "S", hello)}},
		{"no-cur", "cur is missing", 1, []MaildirFile{{Path: "tmp/"}, NewMail(1, hello)}},
	}
}

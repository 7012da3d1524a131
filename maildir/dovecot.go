package maildir

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/mtakit/mtakit/internal/vfs"
)

// maxSidecar is how much of a file beside the messages is read.
const maxSidecar = 256 << 20

// Keywords are the names of the letters a to z, as the file dovecot-keywords gives them; "" where a letter has none.
type Keywords [26]string

// ParseKeywords reads lines of a number from 0 to 25, a blank, and a name. Bad lines are skipped, and of several
// definitions of one number the first counts.
func ParseKeywords(r io.Reader) (Keywords, error) {
	var k Keywords
	b, err := io.ReadAll(r)
	for line := range strings.Lines(string(b)) {
		num, name, ok := strings.Cut(strings.TrimRight(line, "\r\n"), " ")
		n, valid := digits(num)
		if ok && valid && n < int64(len(k)) && name != "" && name[0] != ' ' && k[n] == "" {
			k[n] = name
		}
	}
	return k, err
}

// Names returns the names of keyword letters; letters without a name are left out.
func (k *Keywords) Names(letters string) []string {
	var names []string
	for i := 0; i < len(letters); i++ {
		if isKeyword(letters[i]) && k[letters[i]-'a'] != "" {
			names = append(names, k[letters[i]-'a'])
		}
	}
	return names
}

// Letter returns the letter of a keyword.
func (k *Keywords) Letter(name string) (letter byte, ok bool) {
	for i, n := range k {
		if n == name && n != "" {
			return 'a' + byte(i), true
		}
	}
	return 0, false
}

// String returns the text form.
func (k *Keywords) String() string {
	var b strings.Builder
	for i, n := range k {
		if n != "" {
			fmt.Fprintf(&b, "%d %s\n", i, n)
		}
	}
	return b.String()
}

// Keywords reads the file dovecot-keywords; a missing one names none.
func (d *Dir) Keywords() (Keywords, error) {
	b, err := d.readFile("dovecot-keywords")
	if errors.Is(err, fs.ErrNotExist) {
		return Keywords{}, nil
	}
	if err != nil {
		return Keywords{}, err
	}
	return ParseKeywords(bytes.NewReader(b))
}

// ErrNoKeyword: all 26 letters have names.
var ErrNoKeyword = errors.New("no keyword letter is free")

// AddKeyword returns the letter of a keyword, giving it one in dovecot-keywords if need be. It takes the lock that
// Dovecot takes for that file.
func (d *Dir) AddKeyword(name string) (byte, error) {
	if name == "" || strings.ContainsAny(name, " \n\r\x00") {
		return 0, fmt.Errorf("%q is not a keyword", name)
	}
	lock := filepath.Join(d.path, "dovecot-uidlist.lock")
	l, err := d.fs.OpenFile(lock, openFlags, 0o600)
	if err != nil {
		return 0, err // fs.ErrExist: another program holds it
	}
	defer d.fs.Remove(lock)
	if err := l.Close(); err != nil {
		return 0, err
	}
	k, err := d.Keywords()
	if err != nil {
		return 0, err
	}
	if c, ok := k.Letter(name); ok {
		return c, nil
	}
	for i := range k {
		if k[i] == "" {
			k[i] = name
			return 'a' + byte(i), d.replaceFile("dovecot-keywords", k.String())
		}
	}
	return 0, ErrNoKeyword
}

// readFile reads a file of the Maildir that is no message.
func (d *Dir) readFile(name string) ([]byte, error) {
	f, err := d.fs.OpenFile(filepath.Join(d.path, name), os.O_RDONLY|vfs.NoFollow, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxSidecar))
}

// replaceFile replaces a file of the Maildir, durably and at once.
func (d *Dir) replaceFile(name, text string) error {
	tmp := d.tmp + d.opts.Namer.Name()
	f, err := d.fs.OpenFile(tmp, openFlags, 0o600)
	if err != nil {
		return err
	}
	_, err = io.WriteString(f, text)
	if err == nil && !d.opts.NoSync {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = d.fs.Rename(tmp, filepath.Join(d.path, name))
	}
	if err != nil {
		_ = d.fs.Remove(tmp)
		return err
	}
	return d.sync(d.path)
}

// UIDList is the content of dovecot-uidlist. Mail readers other than Dovecot may look at it, and should not write it.
type UIDList struct {
	Version  int
	Validity uint32
	Next     uint32
	GUID     string            // of the mailbox
	UIDs     map[string]uint32 // by base
	GUIDs    map[string]string // by base, where a message has one that is not its base
}

// ErrUIDList is the reason why dovecot-uidlist cannot be read.
var ErrUIDList = errors.New("bad dovecot-uidlist")

// ParseUIDList reads versions 1 and 3:
//
//	3 V<validity> N<next> G<guid>            1 <validity> <next>
//	<uid> [<letter><value> …] :<file name>   <uid> <file name>
//
// Records that cannot be read are skipped.
func ParseUIDList(r io.Reader) (*UIDList, error) {
	sc := bufio.NewScanner(r)
	sc.Buffer(nil, 1<<20)
	if !sc.Scan() {
		return nil, fmt.Errorf("%w: empty", ErrUIDList)
	}
	l := &UIDList{UIDs: make(map[string]uint32), GUIDs: make(map[string]string)}
	if err := l.header(strings.Fields(sc.Text())); err != nil {
		return nil, err
	}
	for sc.Scan() {
		num, rest, ok := strings.Cut(sc.Text(), " ")
		uid, valid := uid32(num)
		if !ok || !valid {
			continue
		}
		name, guid := rest, ""
		if l.Version == 3 {
			var fields string
			if fields, name, ok = strings.Cut(rest, ":"); !ok {
				continue
			}
			for _, f := range strings.Fields(fields) {
				if f[0] == 'G' {
					guid = f[1:]
				}
			}
		}
		base := Entry{Name: name}.Base()
		l.UIDs[base] = uid
		if guid != "" {
			l.GUIDs[base] = guid
		}
	}
	return l, sc.Err()
}

func (l *UIDList) header(f []string) error {
	bad := fmt.Errorf("%w: first line %q", ErrUIDList, strings.Join(f, " "))
	if len(f) < 3 {
		return bad
	}
	switch f[0] {
	case "1":
		var ok, ok2 bool
		l.Version = 1
		l.Validity, ok = uid32(f[1])
		l.Next, ok2 = uid32(f[2])
		if !ok || !ok2 {
			return bad
		}
		return nil
	case "3":
		l.Version = 3
		for _, w := range f[1:] {
			ok := true
			switch w[0] {
			case 'V':
				l.Validity, ok = uid32(w[1:])
			case 'N':
				l.Next, ok = uid32(w[1:])
			case 'G':
				l.GUID = w[1:]
			}
			if !ok {
				return bad
			}
		}
		return nil
	}
	return bad
}

func uid32(s string) (uint32, bool) {
	n, err := strconv.ParseUint(s, 10, 32)
	return uint32(n), err == nil
}

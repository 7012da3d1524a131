package queue

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/mtakit/mtakit"
	"github.com/mtakit/mtakit/internal/filelock"
	"github.com/mtakit/mtakit/internal/strerror"
	"github.com/mtakit/mtakit/internal/vfs"
)

// HostStatus is what the last attempt on a host came to, as sendmail keeps it below its HostStatusDirectory: one file
// per host, in directories named for the labels of the domain, last label first and each with a dot: net./example./mx.
type HostStatus struct {
	Host   string
	Errno  int           // errno of the connection, 0 if none
	HErrno int           // h_errno of the name lookup
	Exit   int           // exit status of sysexits.h: 0, 75 for a deferral
	Status mtakit.Status // zero if none
	// Reply is the last SMTP reply, at most 80 bytes; HasReply tells an empty one from none.
	Reply    string
	HasReply bool
	Used     time.Time
	Locked   bool // somebody is writing it; only when listed
}

// HostStatusDir is sendmail's HostStatusDirectory.
type HostStatusDir struct{ Path string }

// file is the path of a host's file.
func (d HostStatusDir) file(host string) (string, error) {
	host = strings.ToLower(strings.TrimSuffix(strings.Trim(host, "[]"), "."))
	labels := strings.Split(host, ".")
	p := d.Path
	for i := len(labels) - 1; i >= 0; i-- {
		if labels[i] == "" || strings.ContainsAny(labels[i], "/\x00") {
			return "", fmt.Errorf("host status: bad host name %q", host)
		}
		p += "/" + labels[i]
		if i > 0 {
			p += "."
		}
	}
	return p, nil
}

// Write records a host's status. It is a hint and survives no crash.
func (d HostStatusDir) Write(s HostStatus) error {
	name, err := d.file(s.Host)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	f, err := vfs.OS.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return err
	}
	defer f.Close()
	if ok, err := filelock.TryFlock(f, true); !ok || err != nil {
		return err // another writer is at it, and as good
	}
	if err := f.Truncate(0); err != nil {
		return err
	}
	_, err = f.Write(s.append(nil))
	return err
}

func (s *HostStatus) append(b []byte) []byte {
	b = fmt.Appendf(b, "V0\nE%d\nH%d\nS%d\n", s.Errno, s.HErrno, s.Exit)
	if s.Status != 0 {
		b = fmt.Appendf(b, "D%s\n", s.Status)
	}
	if s.HasReply || s.Reply != "" {
		b = fmt.Appendf(b, "R%s\n", strings.ReplaceAll(cut(s.Reply, 80), "\n", " "))
	}
	return fmt.Appendf(b, "U%d\n.\n", s.Used.Unix())
}

// Read returns what is known of a host. The error is fs.ErrNotExist when nothing is.
func (d HostStatusDir) Read(host string) (HostStatus, error) {
	name, err := d.file(host)
	if err != nil {
		return HostStatus{}, err
	}
	s, err := readHostStatus(name)
	s.Host = host
	return s, err
}

func readHostStatus(name string) (s HostStatus, err error) {
	f, err := vfs.OS.OpenFile(name, os.O_RDONLY, 0)
	if err != nil {
		return s, err
	}
	defer f.Close()
	ok, err := filelock.TryFlock(f, false)
	s.Locked = err == nil && !ok
	return s, s.parse(f, name)
}

func (s *HostStatus) parse(r io.Reader, name string) error {
	in := bufio.NewScanner(r)
	line := 0
	bad := func(what string) error {
		return &mtakit.SyntaxError{Pos: mtakit.Position{File: name, Line: line}, Err: errors.New(what)}
	}
	for in.Scan() {
		line++
		t := in.Text()
		if t == "" {
			return bad("empty line in host status file")
		}
		v := t[1:]
		switch t[0] {
		case 'V':
			if number(v) > 0 {
				return bad("unknown host status version " + v)
			}
		case 'E':
			s.Errno = int(number(v))
		case 'H':
			s.HErrno = int(number(v))
		case 'S':
			s.Exit = int(number(v))
		case 'D':
			s.Status, _ = mtakit.ParseStatus(v)
		case 'R':
			s.Reply, s.HasReply = v, true
		case 'U':
			s.Used = time.Unix(number(v), 0)
		case '.':
			return nil
		default:
			return bad("unknown line in host status file: " + strconv.Quote(t))
		}
	}
	if err := in.Err(); err != nil {
		return err
	}
	if line == 0 {
		return bad("empty host status file")
	}
	return nil
}

// All calls f for each host, in the order of the directories, and joins the errors of files that cannot be read.
func (d HostStatusDir) All(f func(HostStatus)) error {
	return d.walk(d.Path, "", func(name, host string) error {
		s, err := readHostStatus(name)
		if err != nil {
			return err
		}
		s.Host = host
		f(s)
		return nil
	})
}

func (d HostStatusDir) walk(dir, domain string, f func(name, host string) error) error {
	entries, err := vfs.OS.ReadDir(dir)
	if err != nil {
		return err
	}
	var errs []error
	for _, e := range entries {
		label, isParent := strings.CutSuffix(e.Name(), ".")
		host := label
		if domain != "" {
			host += "." + domain
		}
		name := path.Join(dir, e.Name())
		if isParent && e.IsDir() {
			err = d.walk(name, host, f)
		} else if e.Type().IsRegular() {
			err = f(name, host)
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// Print writes sendmail's -bh listing. now is the time for the ages.
func (d HostStatusDir) Print(w io.Writer, verbose bool, now time.Time) error {
	width := 25
	if verbose {
		width = 78
	}
	if _, err := io.WriteString(w, " -------------- Hostname --------------- How long ago ---------Results---------\n"); err != nil {
		return err
	}
	return d.All(func(s HostStatus) {
		mark := ' '
		if s.Locked {
			mark = '*'
		}
		fmt.Fprintf(w, "%c%-39s %12s %s\n", mark, s.Host, age(now.Sub(s.Used)), cut(s.result(), width))
	})
}

// result is the text of the last column.
func (s *HostStatus) result() string {
	switch {
	case s.HasReply:
		return s.Reply
	case s.Exit == 75 && s.Errno != 0:
		return "Deferred: " + errnoWords(s.Errno)
	case s.Exit != 0:
		if t := exitTexts[s.Exit]; t != "" {
			return t
		}
		return "Unknown mailer error " + strconv.Itoa(s.Exit)
	case s.Errno != 0:
		return "OK: " + errnoWords(s.Errno)
	}
	return "OK"
}

// exitTexts are sendmail's words for the exit statuses of sysexits.h.
var exitTexts = map[int]string{
	64: "5.0.0 Command line usage error", 65: "5.6.0 Data format error", 66: "5.3.0 Cannot open input", 67: "5.1.1 User unknown",
	68: "5.1.2 Host unknown", 69: "5.0.0 Service unavailable", 70: "5.3.0 Internal error", 71: "4.0.0 Operating system error",
	72: "5.3.5 System file missing", 73: "5.0.0 Can't create output", 74: "4.0.0 I/O error", 75: "4.0.0 Deferred",
	76: "5.5.0 Remote protocol error", 77: "5.0.0 Insufficient permission", 78: "5.3.5 Local configuration error",
}

func errnoWords(errno int) string {
	if errno == 256 {
		return "Timeout on file open"
	}
	return strerror.Text(syscall.Errno(errno))
}

// age prints 02:53:55, with days 1+06:41:35.
func age(d time.Duration) string {
	s := int64(d / time.Second)
	days, h, m := s/86400, s%86400/3600, s%3600/60
	t := fmt.Sprintf("%02d:%02d:%02d", h, m, s%60)
	if days > 0 {
		t = strconv.FormatInt(days, 10) + "+" + t
	}
	return t
}

// Purge removes what is older than maxAge, and directories that are empty then. sendmail: -bH, Timeout.hoststatus.
func (d HostStatusDir) Purge(maxAge time.Duration) (removed int, err error) {
	dirs := make(map[string]bool)
	err = d.walk(d.Path, "", func(name, _ string) error {
		s, err := readHostStatus(name)
		if err != nil && errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err == nil && (s.Locked || time.Since(s.Used) <= maxAge) {
			return nil
		}
		removed++
		for p := filepath.Dir(name); p != filepath.Clean(d.Path) && len(p) > 1; p = filepath.Dir(p) {
			dirs[p] = true
		}
		return os.Remove(name)
	})
	for len(dirs) > 0 { // the deepest first
		deepest := ""
		for p := range dirs {
			if len(p) > len(deepest) {
				deepest = p
			}
		}
		delete(dirs, deepest)
		os.Remove(deepest) // fails while something is in it
	}
	return removed, err
}

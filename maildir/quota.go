package maildir

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/mtakit/mtakit/internal/vfs"
)

// Quota limits a Maildir with its folders. Zero means no limit.
type Quota struct {
	Bytes    int64
	Messages int64
}

func (q Quota) limited() bool { return q.Bytes > 0 || q.Messages > 0 }

// String returns the first line of maildirsize: "100000S,100C".
func (q Quota) String() string {
	var parts []string
	if q.Bytes > 0 {
		parts = append(parts, strconv.FormatInt(q.Bytes, 10)+"S")
	}
	if q.Messages > 0 {
		parts = append(parts, strconv.FormatInt(q.Messages, 10)+"C")
	}
	return strings.Join(parts, ",")
}

// ParseQuota reads what String prints, the parts in any order.
func ParseQuota(s string) (Quota, error) {
	var q Quota
	if s == "" {
		return q, fmt.Errorf("quota is empty")
	}
	for part := range strings.SplitSeq(s, ",") {
		if part == "" {
			continue
		}
		n, ok := digits(part[:len(part)-1])
		switch unit := part[len(part)-1]; {
		case ok && unit == 'S':
			q.Bytes = n
		case ok && unit == 'C':
			q.Messages = n
		default:
			return Quota{}, fmt.Errorf("quota %q: %q is not a number with S (bytes) or C (messages)", s, part)
		}
	}
	return q, nil
}

// ErrQuota is the error when the message would exceed the quota.
var ErrQuota = errors.New("quota exceeded")

// Usage is what maildirsize says.
type Usage struct {
	Quota           Quota // of the first line
	Bytes, Messages int64
	Entries         int   // lines after the first
	FileSize        int64 // of maildirsize itself
	Modified        time.Time
}

// Over reports whether a limit is exceeded.
func (u Usage) Over() bool { return u.exceeds(u.Quota) }

func (u Usage) exceeds(q Quota) bool {
	return q.Bytes > 0 && u.Bytes > q.Bytes || q.Messages > 0 && u.Messages > q.Messages
}

// The reasons for counting again.
const (
	RecountInvalid  = "invalid"  // the file cannot be read
	RecountSize     = "size"     // it has 5120 bytes or more
	RecountNegative = "negative" // a sum is below 0
	RecountOver     = "over"     // over quota, and the file may be out of date
	RecountLimits   = "limits"   // it was made for other limits
)

const (
	maxQuotaFile = 5120
	quotaFile    = "maildirsize"
	freshQuota   = 15 * time.Minute
)

// Recount returns why the messages should be counted again before the sums are believed; nil when they are good.
func (u Usage) Recount(now time.Time) []string {
	var why []string
	if u.FileSize >= maxQuotaFile {
		why = append(why, RecountSize)
	}
	if u.Bytes < 0 || u.Messages < 0 {
		why = append(why, RecountNegative)
	}
	if u.Over() && (u.Entries > 1 || now.Sub(u.Modified) > freshQuota) {
		why = append(why, RecountOver)
	}
	return why
}

// ParseUsage reads a maildirsize file: the limits, then lines of bytes and messages to be added up.
func ParseUsage(r io.Reader) (Usage, error) {
	var u Usage
	b, err := io.ReadAll(io.LimitReader(r, 1<<20))
	if err != nil {
		return u, err
	}
	u.FileSize = int64(len(b))
	first, rest, _ := strings.Cut(string(b), "\n")
	if u.Quota, err = ParseQuota(strings.TrimSpace(first)); err != nil {
		return u, err
	}
	n := 1
	for line := range strings.Lines(rest) {
		n++
		f := strings.Fields(line)
		if len(f) == 0 {
			continue
		}
		if len(f) != 2 {
			return u, fmt.Errorf("line %d: %q is not two numbers", n, strings.TrimSpace(line))
		}
		bytes, err1 := strconv.ParseInt(f[0], 10, 64)
		count, err2 := strconv.ParseInt(f[1], 10, 64)
		if err := errors.Join(err1, err2); err != nil {
			return u, fmt.Errorf("line %d: %w", n, err)
		}
		u.Bytes = sum(u.Bytes, bytes)
		u.Messages = sum(u.Messages, count)
		u.Entries++
	}
	return u, nil
}

// sum adds, and stays at the largest or smallest number rather than go over to the other side: a name may claim any size.
func sum(a, b int64) int64 {
	switch {
	case b > 0 && a > math.MaxInt64-b:
		return math.MaxInt64
	case b < 0 && a < math.MinInt64-b:
		return math.MinInt64
	}
	return a + b
}

// top is the Maildir that has the quota file: the root of a folder.
func (d *Dir) top() *Dir {
	if d.root != nil {
		return d.root
	}
	return d
}

// Usage reads maildirsize of the Maildir, or of the root for a folder. It is fs.ErrNotExist when there is none.
func (d *Dir) Usage() (Usage, error) {
	t := d.top()
	f, err := t.fs.OpenFile(filepath.Join(t.path, quotaFile), os.O_RDONLY|vfs.NoFollow, 0)
	if err != nil {
		return Usage{}, err
	}
	defer f.Close()
	fi, err := f.Stat()
	if err != nil {
		return Usage{}, err
	}
	u, err := ParseUsage(f)
	u.FileSize, u.Modified = fi.Size(), fi.ModTime()
	if err != nil {
		err = fmt.Errorf("%s: %w", filepath.Join(t.path, quotaFile), err)
	}
	return u, err
}

// Count adds up all messages in new and cur of the Maildir and its folders, without the folder Trash and messages
// with the flag T. Sizes come from the names where they have them.
func (d *Dir) Count() (bytes, messages int64, err error) {
	t := d.top()
	b, m, err := t.countOne()
	if err != nil {
		return 0, 0, err
	}
	list, err := t.Folders()
	if err != nil {
		return 0, 0, err
	}
	for _, f := range list {
		if isTrash(f.Dir) {
			continue
		}
		fb, fm, err := t.Sub(f).countOne()
		if err != nil {
			return 0, 0, err
		}
		b, m = sum(b, fb), m+fm
	}
	return b, m, nil
}

// isTrash reports whether a folder does not count. Folders within Trash do, as maildrop's deliverquota counts them.
func isTrash(dir string) bool { return dir == ".Trash" }

func (d *Dir) countOne() (bytes, messages int64, err error) {
	for e, err := range d.All() {
		if err != nil {
			return 0, 0, err
		}
		if e.Has(FlagTrashed) {
			continue
		}
		n, ok := e.Size()
		if !ok {
			fi, err := d.fs.Stat(d.EntryPath(e))
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			if err != nil {
				return 0, 0, err
			}
			n = fi.Size()
		}
		bytes = sum(bytes, n)
		messages++
	}
	return bytes, messages, nil
}

func sizeOf(e Entry, fi fs.FileInfo) int64 {
	if n, ok := e.Size(); ok {
		return n
	}
	return fi.Size()
}

// Recount counts all messages and writes maildirsize anew, with the limits of Options.Quota or, without any, those of
// the file; it does nothing without a quota. When messages come or go meanwhile, the file is removed, and the next
// delivery counts again.
func (d *Dir) Recount() error {
	t := d.top()
	q := t.opts.Quota
	if !q.limited() {
		u, err := t.Usage()
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if q = u.Quota; !q.limited() {
			return nil
		}
	}
	_, err := t.recount(q)
	return err
}

func (d *Dir) recount(q Quota) (Usage, error) {
	before, err := d.latest()
	if err != nil {
		return Usage{}, err
	}
	began := time.Now()
	b, m, err := d.Count()
	if err != nil {
		return Usage{}, err
	}
	if err := d.replaceFile(quotaFile, fmt.Sprintf("%v\n%d %d\n", q, b, m)); err != nil {
		return Usage{}, err
	}
	after, err := d.latest()
	if err != nil {
		return Usage{}, err
	}
	if !after.Equal(before) || began.Sub(before) < time.Second {
		if err := d.fs.Remove(filepath.Join(d.path, quotaFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return Usage{}, err
		}
	}
	return Usage{Quota: q, Bytes: b, Messages: m, Entries: 1, Modified: time.Now()}, nil
}

// latest is the newest modification time of all directories of messages.
func (d *Dir) latest() (time.Time, error) {
	list, err := d.Folders()
	if err != nil {
		return time.Time{}, err
	}
	var t time.Time
	dirs := []*Dir{d}
	for _, f := range list {
		dirs = append(dirs, d.Sub(f))
	}
	for _, x := range dirs {
		s := x.stamps()
		if s.newd.After(t) {
			t = s.newd
		}
		if s.cur.After(t) {
			t = s.cur
		}
	}
	return t, nil
}

// room checks that a message of size bytes fits into the quota, counting again when the sums may be wrong.
func (d *Dir) room(size int64) error {
	q := d.opts.Quota
	if !q.limited() || isTrash(filepath.Base(d.path)) {
		return nil
	}
	t := d.top()
	u, err := t.Usage()
	if err != nil || u.Quota != q || len(u.Recount(time.Now())) > 0 {
		if u, err = t.recount(q); err != nil {
			return err
		}
	}
	if u.fits(q, size) {
		return nil
	}
	if u.Entries > 1 || time.Since(u.Modified) > freshQuota {
		if u, err = t.recount(q); err != nil {
			return err
		}
		if u.fits(q, size) {
			return nil
		}
	}
	return fmt.Errorf("%s: %w: %d bytes and %d messages of %v", t.path, ErrQuota, u.Bytes, u.Messages, q)
}

func (u Usage) fits(q Quota, size int64) bool {
	u.Bytes = sum(u.Bytes, size)
	u.Messages++
	return !u.exceeds(q)
}

// charge adds a line to maildirsize: one write in append mode, so that concurrent ones do not mix. Without the file
// there is nothing to keep up: who needs it counts.
func (d *Dir) charge(bytes, messages int64) error {
	if !d.opts.Quota.limited() || isTrash(filepath.Base(d.path)) {
		return nil
	}
	t := d.top()
	f, err := t.fs.OpenFile(filepath.Join(t.path, quotaFile), os.O_WRONLY|os.O_APPEND|vfs.NoFollow, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	_, err = f.Write(fmt.Appendf(nil, "%d %d\n", bytes, messages))
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	return err
}

// chargeTrash accounts for a message that was just marked with T, or is not any more.
func (d *Dir) chargeTrash(e Entry) error {
	if !d.opts.Quota.limited() {
		return nil
	}
	fi, err := d.fs.Stat(d.EntryPath(e))
	if err != nil {
		return err
	}
	if e.Has(FlagTrashed) {
		return d.charge(-sizeOf(e, fi), -1)
	}
	return d.charge(sizeOf(e, fi), 1)
}

// chargeMove accounts for a message that moved from d to dst.
func (d *Dir) chargeMove(dst *Dir, e Entry) error {
	sameTop := d.top().path == dst.top().path
	if !d.opts.Quota.limited() && !dst.opts.Quota.limited() || e.Has(FlagTrashed) ||
		sameTop && isTrash(filepath.Base(d.path)) == isTrash(filepath.Base(dst.path)) {
		return nil
	}
	fi, err := dst.fs.Stat(dst.EntryPath(e))
	if err != nil {
		return err
	}
	n := sizeOf(e, fi)
	return errors.Join(d.charge(-n, -1), dst.charge(n, 1))
}

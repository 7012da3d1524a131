package queue

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mtakit/mtakit"
	"github.com/mtakit/mtakit/internal/filelock"
	"github.com/mtakit/mtakit/internal/vectordir"
	"github.com/mtakit/mtakit/queue/qf"
)

const vectorZip = "testdata/vectors/queue.zip"

// TestVectorsQueue checks control files, listings, queue runs and host status against what sendmail 8.17.1.9 wrote and
// printed.
func TestVectorsQueue(t *testing.T) {
	fsys := vectordir.Open(t, "queue", vectorZip)
	passed, failed := 0, 0
	check := func(name string, errs []error) {
		if err := errors.Join(errs...); err != nil {
			failed++
			t.Errorf("%s: %v", name, err)
		} else {
			passed++
		}
	}
	dirs := make(map[string]bool)
	err := fs.WalkDir(fsys, ".", func(p string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		switch base := path.Base(p); {
		case base == "meta.json" || base == "expect.json":
			dirs[path.Dir(p)] = true
		case e.IsDir() && base == "tree":
			check(path.Dir(p), hostStatusVector(t, fsys, path.Dir(p)))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range slices.Sorted(maps.Keys(dirs)) {
		if _, err := fs.Stat(fsys, dir+"/meta.json"); err == nil {
			check(dir, scenarioVector(t, fsys, dir))
		} else {
			check(dir, handBuiltVector(t, fsys, dir))
		}
	}
	t.Logf("vectors queue: %d passed, %d failed", passed, failed)
	if passed == 0 {
		t.Error("no vectors were found")
	}
}

// unpack copies a spool out of the vectors.
func unpack(t *testing.T, fsys fs.FS, dir string) string {
	to := t.TempDir()
	err := fs.WalkDir(fsys, dir, func(p string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(dir, p)
		dst := filepath.Join(to, rel)
		if e.IsDir() {
			return os.MkdirAll(dst, 0o700)
		}
		if e.Name() == ".gitkeep" {
			return nil
		}
		b, err := fs.ReadFile(fsys, p)
		if err != nil {
			return err
		}
		if err := os.WriteFile(dst, b, 0o600); err != nil {
			return err
		}
		return os.Chtimes(dst, time.Time{}, time.Unix(9e8, 0)) // before the clock of synctest
	})
	if err != nil {
		t.Fatal(err)
	}
	return to
}

// openVector opens a spool, as one directory or as several.
func openVector(t *testing.T, root string) *Dir {
	entries, err := os.ReadDir(root)
	if err != nil {
		t.Fatal(err)
	}
	pattern := root
	for _, e := range entries {
		if e.IsDir() && !slices.Contains([]string{"qf", "df", "xf"}, e.Name()) {
			pattern = root + "/*"
		}
	}
	d, err := Open(pattern, nil)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

type scenario struct {
	Name, Description string
	Queue_directory   string
	Entries           []struct {
		File, ID, Kind string
		QF             map[string]any
		DF             *struct {
			File string
			Size int64
		}
		Parse_error bool
	}
	Mailq map[string]struct {
		File string
		Args []string
		Exit int
	}
	Files []struct {
		Path  string
		Size  int64
		Mode  string
		Nlink int
	}
}

func scenarioVector(t *testing.T, fsys fs.FS, dir string) (errs []error) {
	var m scenario
	if err := readJSON(fsys, dir+"/meta.json", &m); err != nil {
		return []error{err}
	}
	root := unpack(t, fsys, dir+"/mqueue")
	now := time.Now()
	for _, e := range m.Entries {
		b, err := os.ReadFile(filepath.Join(root, e.File))
		if err != nil {
			errs = append(errs, err)
			continue
		}
		f, err := qf.Decode(string(b), e.File)
		if (err != nil) != e.Parse_error {
			errs = append(errs, fmt.Errorf("%s: parse error %v, want one: %v", e.File, err, e.Parse_error))
		}
		if got := f.Bytes(); !bytes.Equal(got, b) {
			errs = append(errs, fmt.Errorf("%s: does not round trip:\n%q\n%q", e.File, got, b))
		}
		if again, err := qf.Decode(string(f.Append(nil)), e.File); err == nil && string(again.Append(nil)) != string(f.Append(nil)) {
			errs = append(errs, fmt.Errorf("%s: canonical form is not stable", e.File))
		}
		for k, v := range e.QF {
			if err := compareField(f, string(b), k, v); err != nil {
				errs = append(errs, fmt.Errorf("%s: %w", e.File, err))
			}
		}
		if f.LastAttempt > 0 {
			now = time.Unix(f.LastAttempt+1, 0)
		}
	}
	d := openVector(t, root)
	stars := make(map[string]bool)
	if p, ok := m.Mailq["plain"]; ok {
		want, _ := fs.ReadFile(fsys, dir+"/"+p.File)
		stars = starred(string(want))
	}
	for id := range stars {
		defer lockEntry(t, d, ID(id))()
	}
	for _, name := range slices.Sorted(maps.Keys(m.Mailq)) {
		q := m.Mailq[name]
		want, err := fs.ReadFile(fsys, dir+"/"+q.File)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		text := strings.ReplaceAll(string(want), m.Queue_directory, root)
		if err := compareListing(d, q.Args, text, now); err != nil || q.Exit != 0 {
			errs = append(errs, fmt.Errorf("mailq %v (exit %d): %w", q.Args, q.Exit, err))
		}
	}
	return errs
}

func readJSON(fsys fs.FS, name string, v any) error {
	b, err := fs.ReadFile(fsys, name)
	if err != nil {
		return err
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	return d.Decode(v)
}

// latin1 shows bytes as the vectors do: each as the character of that number.
func latin1(s string) string {
	r := make([]rune, len(s))
	for i := range len(s) {
		r[i] = rune(s[i])
	}
	return string(r)
}

// compareField compares one field of the parsed content.
func compareField(f *qf.File, text, name string, want any) error {
	var got any
	switch name {
	case "version":
		got = float64(f.Version)
	case "ctime":
		got = float64(f.Created)
	case "last_attempt":
		got = float64(f.LastAttempt)
	case "attempts":
		got = float64(f.Attempts)
	case "priority":
		got = float64(f.Priority)
	case "df_inode":
		var a, b, c float64
		if _, err := fmt.Sscanf(f.Inode, "%g/%g/%g", &a, &b, &c); err != nil {
			return err
		}
		got = map[string]any{"major": a, "minor": b, "inode": c}
	case "df_dir":
		got = latin1(f.DataDir)
	case "body_type":
		got = latin1(f.Body)
	case "quarantine":
		got = latin1(f.Quarantine)
	case "flags":
		got = f.Flags
	case "flag_names":
		return checkNames(f.Flags, want, map[byte]string{'b': "delete_bcc", 's': "split", 'r': "response", 'd': "ret_param",
			'n': "no_body_return", '8': "has_8bit", 'w': "warning_sent"})
	case "macros":
		ms := []any{}
		for _, m := range f.Macros {
			ms = append(ms, []any{latin1(m.Name), latin1(m.Value)})
		}
		got = ms
	case "sender":
		got = latin1(f.Sender)
	case "envid":
		got = latin1(f.EnvID)
	case "auth":
		got = latin1(f.Auth)
	case "deliver_by":
		got = map[string]any{"mode": latin1(string([]byte{f.DeliverBy.Mode})), "seconds": float64(f.DeliverBy.Seconds)}
	case "message":
		if f.Message != "" {
			got = latin1(f.Message)
		}
	case "terminated":
		got = strings.HasSuffix(text, "\n.\n") || strings.HasSuffix(text, "\n.\r\n")
	case "order":
		s := ""
		for r := range qf.Records(text) {
			s += string(r.Letter)
		}
		got = s
	case "recipients":
		return compareRcpts(f, want)
	case "headers":
		hs := []any{}
		for _, h := range f.Headers {
			hs = append(hs, map[string]any{"cond": latin1(h.Cond), "name": latin1(h.Name), "value": latin1(h.Value)})
		}
		got = hs
	default:
		return fmt.Errorf("unknown field %q", name)
	}
	return same(name, got, want)
}

func same(name string, got, want any) error {
	g, _ := json.Marshal(got)
	w, _ := json.Marshal(want)
	if !bytes.Equal(g, w) {
		return fmt.Errorf("%s: got %s, want %s", name, g, w)
	}
	return nil
}

func checkNames(letters string, want any, names map[byte]string) error {
	list, _ := want.([]any)
	if len(list) != len(letters) {
		return fmt.Errorf("flag names %v for %q", want, letters)
	}
	for i, n := range list {
		if known := names[letters[i]]; known != "" && known != n {
			return fmt.Errorf("flag %c is %v, want %v", letters[i], known, n)
		}
	}
	return nil
}

func compareRcpts(f *qf.File, want any) error {
	list, _ := want.([]any)
	if len(list) != len(f.Rcpts) {
		return fmt.Errorf("%d recipients, want %d", len(f.Rcpts), len(list))
	}
	optional := func(s string) any {
		if s == "" {
			return nil
		}
		return latin1(s)
	}
	for i, r := range f.Rcpts {
		for k, v := range list[i].(map[string]any) {
			var got any
			switch k {
			case "address":
				got = latin1(r.Addr)
			case "flags":
				got = r.Flags
			case "flag_names":
				if err := checkNames(r.Flags, v, map[byte]string{'P': "primary", 'F': "notify_failure", 'D': "notify_delay",
					'N': "has_notify", 'S': "notify_success", 'A': "alias_ctl"}); err != nil {
					return err
				}
				continue
			case "message":
				got = optional(r.Message)
			case "orcpt":
				got = optional(r.Orcpt)
			case "final":
				got = optional(r.Final)
			case "controlling":
				if err := compareControl(r.Control, v); err != nil {
					return err
				}
				continue
			default:
				return fmt.Errorf("unknown recipient field %q", k)
			}
			if err := same("recipient "+k, got, v); err != nil {
				return err
			}
		}
	}
	return nil
}

func compareControl(c *qf.Control, want any) error {
	m, ok := want.(map[string]any)
	if !ok || c == nil {
		return same("controlling", c, want)
	}
	for k, v := range m {
		var got any
		switch k {
		case "user":
			got = c.User
			if c.User == "" && v == nil {
				got = nil
			}
		case "uid":
			got = float64(c.UID)
			if c.User == "" && v == nil {
				got = nil
			}
		case "gid":
			got = float64(c.GID)
			if c.User == "" && v == nil {
				got = nil
			}
		case "address":
			got = latin1(c.Addr)
		default:
			return fmt.Errorf("unknown controlling field %q", k)
		}
		if err := same("controlling "+k, got, v); err != nil {
			return err
		}
	}
	return nil
}

// starred finds the ids that a listing marks as locked.
func starred(listing string) map[string]bool {
	out := make(map[string]bool)
	for line := range strings.Lines(listing) {
		if id, _, ok := strings.Cut(line, "*"); ok && ValidID(ID(strings.TrimLeft(id, " "))) {
			out[strings.TrimLeft(id, " ")] = true
		}
	}
	return out
}

// lockEntry locks a control file as another process would.
func lockEntry(t *testing.T, d *Dir, id ID) (unlock func()) {
	for _, sp := range d.spools {
		if f, err := os.Open(sp.file('q', id)); err == nil {
			if ok, err := filelock.TryFlock(f, true); !ok || err != nil {
				t.Fatal("locked: ", ok, err)
			}
			return func() { f.Close() }
		}
	}
	t.Fatalf("%s: no such entry", id)
	return nil
}

// compareListing prints a listing and compares it. Entries that tie keep the order of the directory, which nobody
// promises: title lines have to agree in order, entries as a set.
func compareListing(d *Dir, args []string, want string, now time.Time) error {
	l, dir, rest, err := ParseMailqArgs(args)
	if err != nil || dir != "" || len(rest) > 0 {
		return fmt.Errorf("arguments %v: %w", rest, err)
	}
	l.Location, l.Now, l.Load = time.UTC, now, func() int { return 0 }
	var b strings.Builder
	if _, err := d.Print(context.Background(), &b, l); err != nil {
		return err
	}
	got := b.String()
	if got == want {
		return nil
	}
	gt, ge := blocks(got)
	wt, we := blocks(want)
	if l.MaxRun > 0 { // which ones are printed is chance
		l.MaxRun = 0
		b.Reset()
		if _, err := d.Print(context.Background(), &b, l); err != nil {
			return err
		}
		_, all := blocks(b.String())
		if slices.Equal(gt, wt) && len(ge) == len(we) && !slices.ContainsFunc(we, func(e string) bool { return !slices.Contains(all, e) }) {
			return nil
		}
		return fmt.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
	slices.Sort(ge)
	slices.Sort(we)
	slices.Sort(gt) // directories come in the order of the file system, too
	slices.Sort(wt)
	if !slices.Equal(gt, wt) || !slices.Equal(ge, we) {
		return fmt.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
	return nil
}

// blocks divides a listing into its titles and its entries with their continuation lines.
func blocks(s string) (titles, entries []string) {
	last := &titles
	for line := range strings.Lines(s) {
		switch {
		case strings.HasPrefix(line, "\t\t") && !strings.HasPrefix(line, "\t\t\t") && !strings.HasPrefix(line, "\t\t ("),
			strings.HasPrefix(line, "/"), strings.HasPrefix(line, "-----Q-ID"), strings.HasPrefix(line, "gatherq: "):
			titles = append(titles, line)
			last = &titles
		case strings.HasPrefix(line, "\t") || strings.HasPrefix(line, "     QUAR") || strings.HasPrefix(line, "    ") && len(line) > 14 && isContinuation(line):
			(*last)[len(*last)-1] += line
		default:
			entries = append(entries, line)
			last = &entries
		}
	}
	return titles, entries
}

// isContinuation tells the line with body type and status, and the size after a complaint, from an entry with a short id.
func isContinuation(line string) bool {
	field := strings.TrimSpace(line[4:min(14, len(line)-1)])
	return field == "" || field == "-1" || strings.EqualFold(field, "8BITMIME") || strings.EqualFold(field, "7BIT") ||
		strings.HasPrefix(line[14:], "   (") || strings.TrimSpace(line) == field
}

type handBuilt struct {
	ID         string
	Listed     bool
	Run_exit   int
	Run_output string
	Remaining  []string
	Removed    bool
	Lost       bool
	Delivered  []struct {
		Mail string
		Rcpt []string
		File string
	}
}

// handBuiltVector lists an entry, runs the queue once and compares what is left and what was sent.
func handBuiltVector(t *testing.T, fsys fs.FS, dir string) (errs []error) {
	var want handBuilt
	if err := readJSON(fsys, dir+"/expect.json", &want); err != nil {
		return []error{err}
	}
	root := unpack(t, fsys, dir+"/mqueue")
	d := openVector(t, root)
	for file, args := range map[string][]string{"mailq.txt": {"-bp"}, "mailq-v.txt": {"-bp", "-v"}} {
		text, err := fs.ReadFile(fsys, dir+"/"+file)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		if err := compareListing(d, args, strings.ReplaceAll(string(text), "/var/spool/mqueue", root), time.Now()); err != nil {
			errs = append(errs, err)
		}
	}
	sent := runOnce(t, d)
	left, err := os.ReadDir(root)
	if err != nil {
		return append(errs, err)
	}
	names := []string{}
	lost := false
	for _, e := range left {
		names = append(names, e.Name())
		lost = lost || strings.HasPrefix(e.Name(), "Qf")
		if b, err := fs.ReadFile(fsys, dir+"/after-"+e.Name()); err == nil {
			if got, _ := os.ReadFile(filepath.Join(root, e.Name())); !bytes.Equal(got, b) {
				errs = append(errs, fmt.Errorf("%s is %q, want %q", e.Name(), got, b))
			}
		}
	}
	slices.Sort(want.Remaining)
	if !slices.Equal(names, want.Remaining) || lost != want.Lost || (len(names) == 0) != want.Removed {
		errs = append(errs, fmt.Errorf("left %v, want %v", names, want.Remaining))
	}
	if len(sent) != len(want.Delivered) {
		return append(errs, fmt.Errorf("sent %d times, want %d", len(sent), len(want.Delivered)))
	}
	for i, w := range want.Delivered {
		body, err := fs.ReadFile(fsys, dir+"/"+w.File)
		errs = append(errs, err, sent[i].compare(w.Mail, w.Rcpt, string(body)))
	}
	return errs
}

// transaction is what a mailer was asked to send.
type transaction struct {
	a    *mtakit.Attempt
	u    *Unit
	text string

	headers []qf.Header
}

// runOnce runs the queue until nothing can be tried now, with a mailer that takes everything.
func runOnce(t *testing.T, d *Dir) (sent []transaction) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		m := mtakit.MailerFunc(func(ctx context.Context, a *mtakit.Attempt) []mtakit.Result {
			mu.Lock()
			defer mu.Unlock()
			r, err := a.Open(ctx)
			if err != nil {
				return []mtakit.Result{{Err: err}}
			}
			defer r.Close()
			b, err := io.ReadAll(r)
			if err != nil {
				return []mtakit.Result{{Err: err}}
			}
			u, _ := d.Get(ctx, ID(a.ID))
			var headers []qf.Header
			if e, err := d.read(d.spools[0], 'q', ID(a.ID)); e != nil && err == nil {
				headers = e.file.Headers
			}
			sent = append(sent, transaction{a, u, string(b), headers})
			return make([]mtakit.Result, len(a.Rcpts))
		})
		r := NewRunner(Options{Store: d, Retry: func(*Unit) time.Duration { return 0 }, Mailers: map[string]mtakit.Mailer{"esmtp": m}, Rescan: -1,
			Resolve: func(_ context.Context, _ *Unit, r Recipient) ([]Target, error) {
				return []Target{{Addr: r.Address(), Route: mtakit.Route{Mailer: "esmtp"}}}, nil
			}})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- r.Run(ctx) }()
		synctest.Wait()
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return sent
}

// compare checks MAIL, RCPT and data as a server saw them. The order of recipients is not promised.
func (x transaction) compare(mail string, rcpts []string, data string) error {
	got := strings.ReplaceAll(x.text, "\n", "\r\n")
	got = strings.ReplaceAll("\r\n"+got, "\r\n.", "\r\n..")[2:]
	if got != data {
		return fmt.Errorf("sent %q, want %q", got, data)
	}
	path, params, _ := strings.Cut(strings.TrimPrefix(mail, "MAIL From:"), " ")
	if path != x.a.From.Path() {
		return fmt.Errorf("sender %s, want %s", x.a.From.Path(), path)
	}
	seen := ""
	for _, p := range strings.Fields(params) {
		name, value, _ := strings.Cut(p, "=")
		seen += name + " "
		var is string
		switch name {
		case "SIZE":
			// An estimate (RFC 1870 section 6). sendmail counts the lines of the control file with their conditions, without
			// line ends, colons and blanks, whether they are sent or not; we count what is sent.
			n, err := strconv.ParseInt(value, 10, 64)
			if err != nil {
				return err
			}
			fields, unsent := int64(0), int64(0)
			for _, h := range x.headers {
				fields++
				if h.Cond != "" {
					unsent += int64(len(h.Cond) + len(h.Name) + len(h.Value))
				}
			}
			if d := x.a.Size - n; d < -unsent-2*fields || d > 1+3*fields {
				return fmt.Errorf("SIZE=%d is too far from %d with %d fields", x.a.Size, n, fields)
			}
			continue
		case "BODY":
			is = x.a.BodyType
		case "ENVID":
			is = qf.EncodeXtext(x.a.EnvID)
		case "RET":
			is = x.a.Ret
		case "AUTH":
			is = qf.EncodeXtext(x.u.Auth)
		case "BY": // counts down from the creation; the vectors' runs came an hour after it, give or take a minute
			is = map[byte]string{1: "N", 2: "R", 0x11: "NT", 0x12: "RT"}[x.u.DeliverBy.Mode]
			var secs string
			secs, value, _ = strings.Cut(value, ";")
			n, err := strconv.Atoi(secs)
			if err != nil {
				return err
			}
			if left := x.u.DeliverBy.After - time.Hour; (left - time.Duration(n)*time.Second).Abs() > time.Minute {
				return fmt.Errorf("BY=%s, want %v an hour after the creation", secs, left)
			}
		default:
			return fmt.Errorf("unknown parameter %s", p)
		}
		if is != value {
			return fmt.Errorf("%s=%s, want %s", name, is, value)
		}
	}
	if x.a.EnvID != "" && !strings.Contains(seen, "ENVID") && strings.Contains(mail, "RET=") {
		return fmt.Errorf("ENVID=%s, want none", x.a.EnvID)
	}
	var have []string
	for _, r := range x.a.Rcpts {
		s := "RCPT To:" + r.Addr.Path()
		if strings.Contains(strings.Join(rcpts, " "), "NOTIFY=") { // the server announced DSN
			s += notifyParam(r.Notify)
			if r.Original != "" {
				s += " ORCPT=" + r.Original
			}
		}
		have = append(have, s)
	}
	for i := range rcpts { // xtext has several forms of the same value
		rcpts[i] = qf.DecodeXtext(rcpts[i])
	}
	slices.Sort(have)
	slices.Sort(rcpts)
	if !slices.Equal(have, rcpts) {
		return fmt.Errorf("recipients %q, want %q", have, rcpts)
	}
	return nil
}

func notifyParam(n mtakit.Notify) string {
	if n == 0 {
		return ""
	}
	if n == mtakit.NotifyNever {
		return " NOTIFY=NEVER"
	}
	var words []string
	for _, w := range []struct {
		bit  mtakit.Notify
		word string
	}{{mtakit.NotifySuccess, "SUCCESS"}, {mtakit.NotifyFailure, "FAILURE"}, {mtakit.NotifyDelay, "DELAY"}} {
		if n&w.bit != 0 {
			words = append(words, w.word)
		}
	}
	return " NOTIFY=" + strings.Join(words, ",")
}

// hostStatusVector reads host status files, writes them again, and compares the listings. The clock of the listings is
// that of the youngest file, or a little later.
func hostStatusVector(t *testing.T, fsys fs.FS, dir string) (errs []error) {
	root := unpack(t, fsys, dir+"/tree")
	d := HostStatusDir{Path: root}
	var newest time.Time
	all := make(map[string]HostStatus)
	errs = append(errs, d.All(func(s HostStatus) {
		all[s.Host] = s
		if s.Used.After(newest) {
			newest = s.Used
		}
	}))
	copied := HostStatusDir{Path: t.TempDir()}
	for host, s := range all {
		errs = append(errs, copied.Write(s))
		a, _ := d.file(host)
		b, _ := copied.file(host)
		want, err1 := os.ReadFile(a)
		got, err2 := os.ReadFile(b)
		if !bytes.Equal(got, want) || err1 != nil || err2 != nil {
			errs = append(errs, fmt.Errorf("%s: wrote %q, want %q", host, got, want))
		}
	}
	for file, verbose := range map[string]bool{"hoststat.txt": false, "hoststat-v.txt": true} {
		text, err := fs.ReadFile(fsys, dir+"/"+file)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		want := slices.Sorted(strings.Lines(string(text)))
		var last string
		ok := false
		for later := time.Duration(0); later < 10*time.Second && !ok; later += time.Second {
			var b strings.Builder
			errs = append(errs, d.Print(&b, verbose, newest.Add(later)))
			last = b.String()
			ok = slices.Equal(slices.Sorted(strings.Lines(last)), want)
		}
		if !ok {
			errs = append(errs, fmt.Errorf("%s: got:\n%s\nwant:\n%s", file, last, text))
		}
	}
	return errs
}

package mailtest

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// QueueMessage is a message in a queue directory in sendmail's format. The zero value of a field leaves its line out,
// where nothing else is said.
type QueueMessage struct {
	ID       string    // queue id; "" makes one, different for each message of a call of QueueDir
	Created  time.Time // zero means 2026-01-02 03:04:05 UTC
	Last     time.Time // of the last attempt; zero means never
	Attempts int
	Priority int64  // zero means 30000 for each recipient and the size of the message
	Status   string // what the last attempt said: "Deferred: Connection refused by mx.example.net."
	Flags    string // of the envelope; "" means "bs", and "-" none
	From     string // "<ann@example.org>"; "" means the null reverse-path
	To       []QueueRcpt
	BodyType string
	Reason   string // of quarantine: the control file is then hf
	Header   string // fields, LF line ends; "" means From and Subject
	Body     string
}

// QueueRcpt is a recipient of a QueueMessage.
type QueueRcpt struct {
	Addr    string // "<bob@example.net>"
	Flags   string // "" means "PFD"
	Control string // value of the C line before it
	Status  string // value of the M line before it
	Orig    string // value of the Q line before it
}

// To makes recipients of addresses.
func To(addrs ...string) []QueueRcpt {
	var list []QueueRcpt
	for _, a := range addrs {
		list = append(list, QueueRcpt{Addr: "<" + a + ">"})
	}
	return list
}

// ControlFile is the text of the qf (or hf) file.
func (m QueueMessage) ControlFile() string {
	var b strings.Builder
	line := func(letter, value string) {
		if value != "" {
			b.WriteString(letter + value + "\n")
		}
	}
	created, last := m.Created, int64(0)
	if created.IsZero() {
		created = MaildirTime
	}
	if !m.Last.IsZero() {
		last = m.Last.Unix()
	}
	priority := m.Priority
	if priority == 0 {
		priority = int64(len(m.header())+len(m.Body)) + 30000*int64(len(m.To)) + 90000*int64(m.Attempts)
	}
	flags := m.Flags
	if flags == "" {
		flags = "bs"
	}
	from := m.From
	if from == "" {
		from = "<>"
	}
	fmt.Fprintf(&b, "V8\nT%d\nK%d\nN%d\nP%d\n", created.Unix(), last, m.Attempts, priority)
	line("B", m.BodyType)
	line("q", m.Reason)
	line("M", m.Status)
	line("F", strings.Trim(flags, "-"))
	b.WriteString("$_client.example.com [192.0.2.55]\n$rESMTP\n$sclient.example.com\n${daemon_flags}\nS" + from + "\n")
	for _, r := range m.To {
		line("M", r.Status)
		line("C", r.Control)
		line("Q", r.Orig)
		flags := r.Flags
		if flags == "" {
			flags = "PFD"
		}
		b.WriteString("R" + flags + ":" + r.Addr + "\n")
	}
	b.WriteString("H?P?Return-Path: <\x81g>\n")
	for field := range strings.Lines(m.header()) {
		if field[0] != ' ' && field[0] != '\t' {
			b.WriteString("H??")
		}
		b.WriteString(field)
	}
	b.WriteString(".\n")
	return b.String()
}

func (m QueueMessage) header() string {
	if m.Header != "" {
		return withNewline(m.Header)
	}
	return "From: " + strings.Trim(m.From, "<>") + "\nSubject: queued\n"
}

// QueueFile is a file in a queue directory.
type QueueFile struct {
	Name string
	Data string
	Mode os.FileMode   // zero means 0600
	Age  time.Duration // how long before now it was written; zero means now
	Same string        // a hard link to this other file, which must come before
}

// Files are the control and data file of a message.
func (m QueueMessage) Files() []QueueFile {
	prefix := "qf"
	if m.Reason != "" {
		prefix = "hf"
	}
	return []QueueFile{{Name: "df" + m.ID, Data: withNewline(m.Body)}, {Name: prefix + m.ID, Data: m.ControlFile()}}
}

// QueueDir makes a queue directory with these messages and returns its path.
func QueueDir(tb testing.TB, messages ...QueueMessage) string {
	tb.Helper()
	var files []QueueFile
	for i, m := range messages {
		if m.ID == "" {
			m.ID = queueID(i)
		}
		files = append(files, m.Files()...)
	}
	return QueueState{Files: files}.Create(tb)
}

// queueID makes ids as sendmail process 4711 would on 2 January 2026 at 03:04:05.
func queueID(i int) string {
	const digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	return "602345" + string(digits[i/60%60]) + string(digits[i%60]) + "004711"
}

// QueueState is a queue directory in some state.
type QueueState struct {
	Name, About string
	Deliverable int // how many entries a queue run takes up
	Files       []QueueFile
}

// Create makes the directory, mode 0700, and returns its path.
func (s QueueState) Create(tb testing.TB) string {
	tb.Helper()
	dir := filepath.Join(tb.TempDir(), "mqueue")
	check := func(err error) {
		tb.Helper()
		if err != nil {
			tb.Fatal(err)
		}
	}
	check(os.Mkdir(dir, 0o700))
	for _, f := range s.Files {
		path := filepath.Join(dir, f.Name)
		if f.Same != "" {
			check(os.Link(filepath.Join(dir, f.Same), path))
			continue
		}
		mode := f.Mode
		if mode == 0 {
			mode = 0o600
		}
		check(os.WriteFile(path, []byte(f.Data), 0o600))
		check(os.Chmod(path, mode))
		if f.Age != 0 {
			at := time.Now().Add(-f.Age)
			check(os.Chtimes(path, at, at))
		}
	}
	return dir
}

// QueueStates lists queue directories in every state in which a queue run may find one, after crashes too.
func QueueStates() []QueueState {
	id := queueID(0)
	m := QueueMessage{ID: id, From: "<ann@example.org>", To: To("bob@example.net"), Body: "Hello\n"}
	with := func(change func(*QueueMessage)) []QueueFile {
		c := m
		change(&c)
		return c.Files()
	}
	df := QueueFile{Name: "df" + id, Data: "Hello\n"}
	control := func(text string) []QueueFile { return []QueueFile{df, {Name: "qf" + id, Data: text}} }
	good := m.ControlFile()
	other := queueID(1)
	return []QueueState{
		{"empty", "nothing is queued", 0, nil},
		{"fresh", "queued and not yet tried", 1, m.Files()},
		{"deferred", "tried an hour ago", 1, with(func(m *QueueMessage) {
			m.Attempts, m.Created, m.Last = 2, time.Now().Add(-2*time.Hour), time.Now().Add(-time.Hour)
			m.Status = "Deferred: Connection refused by mx.example.net."
			m.To[0].Status = m.Status
		})},
		{"expired", "a month old", 1, with(func(m *QueueMessage) {
			m.Attempts, m.Created, m.Last, m.Flags = 50, time.Now().AddDate(0, -1, 0), time.Now().Add(-time.Hour), "wbs"
		})},
		{"null-sender", "a bounce", 1, with(func(m *QueueMessage) { m.From, m.Flags = "", "rs" })},
		{"several", "recipients with controlling users, a program and a file", 1, with(func(m *QueueMessage) {
			m.To = []QueueRcpt{{Addr: "<bob@example.net>"}, {Addr: "carol", Control: "carol:2003:2003:carol", Flags: "FD"},
				{Addr: `"|/usr/bin/vacation"`, Control: "dave:2004:2000:<dave@example.org>", Flags: "FD"},
				{Addr: "/var/archive/list", Control: ":archive", Flags: "FDA"}}
		})},
		{"dsn", "delivery status parameters", 1, with(func(m *QueueMessage) {
			m.To = []QueueRcpt{{Addr: "<bob@example.net>", Flags: "PNSFD", Orig: "rfc822;Bob+2Bx@example.net"}, {Addr: "<carol@example.net>", Flags: "PN"}}
		})},
		{"quarantined", "held for a reason", 0, with(func(m *QueueMessage) { m.Reason = "looks bad" })},
		{"quarantine-in-qf", "a q line in a file that is not named hf: never run", 0, control(strings.Replace(good, "Fbs\n", "qlooks bad\nFbs\n", 1))},
		{"lost", "a control file that was set aside as damaged", 0, []QueueFile{df, {Name: "Qf" + id, Data: "Xwhat\n"}}},
		{"split", "two control files with one data file", 2, append(m.Files(), QueueFile{Name: "df" + other, Same: "df" + id},
			QueueFile{Name: "qf" + other, Data: QueueMessage{From: m.From, To: To("carol@example.com"), Body: m.Body}.ControlFile()})},
		{"half-written-tf", "an update was cut off: the old control file counts", 1, append(m.Files(), QueueFile{Name: "tf" + id, Data: good[:40]})},
		{"whole-tf", "an update was written but not renamed", 1, append(m.Files(), QueueFile{Name: "tf" + id, Data: good})},
		{"tf-alone", "a control file that never got its name", 0, []QueueFile{df, {Name: "tf" + id, Data: good}}},
		{"orphan-df", "a data file alone: its message was never accepted", 0, []QueueFile{df}},
		{"old-orphan-df", "the same, two days old", 0, []QueueFile{{Name: df.Name, Data: df.Data, Age: 48 * time.Hour}}},
		{"no-df", "a control file without data file", 1, []QueueFile{{Name: "qf" + id, Data: good}}},
		{"empty-qf", "a control file of no bytes, just created", 0, control("")},
		{"old-empty-qf", "the same, an hour old", 0, []QueueFile{df, {Name: "qf" + id, Age: time.Hour}}},
		{"truncated-qf", "no final dot: still being written, or cut off", 0, control(good[:len(good)-2])},
		{"after-dot", "text after the final dot", 0, control(good + "Rmallory@example.com\n")},
		{"unknown-line", "a line of unknown type", 0, control(strings.Replace(good, "Fbs\n", "Ysomething\nFbs\n", 1))},
		{"newer-version", "written by a program of the future", 0, control(strings.Replace(good, "V8\n", "V99\n", 1))},
		{"from-line", "an mbox separator where a control line should be", 0, control("From ann@example.org Fri Jan  2 03:04:05 2026\n" + good)},
		{"no-sender", "no S line", 0, control(strings.Replace(good, "S<ann@example.org>\n", "", 1))},
		{"no-recipients", "no R line: everything was done, and a queue run only removes it", 1, control(strings.Replace(good, "RPFD:<bob@example.net>\n", "", 1))},
		{"crlf", "CRLF line ends", 1, control(strings.ReplaceAll(good, "\n", "\r\n"))},
		{"world-writable", "anybody could have written it", 0, []QueueFile{df, {Name: "qf" + id, Data: good, Mode: 0o666}}},
		{"transcript", "what was said in the session is kept beside it", 1, append(m.Files(), QueueFile{Name: "xf" + id, Data: "451 4.3.0 Try later\n"})},
		{"strangers", "files that are none of the queue's business", 1, append(m.Files(), QueueFile{Name: "README", Data: "x"},
			QueueFile{Name: ".hidden", Data: "x"}, QueueFile{Name: "qf", Data: "x"}, QueueFile{Name: "core.1234", Data: "x"})},
		{"long-name", "an id of more than 18 characters is skipped", 0, []QueueFile{{Name: "df" + strings.Repeat("A", 19), Data: "Hello\n"},
			{Name: "qf" + strings.Repeat("A", 19), Data: good}}},
	}
}

// LockQueueFile locks a control or data file as another queue runner would, until the test ends or the returned function
// is called. It fails the test where the system has no flock(2).
func LockQueueFile(tb testing.TB, path string) (unlock func()) {
	tb.Helper()
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		tb.Fatal(err)
	}
	if err := lockFile(f); err != nil {
		f.Close()
		tb.Fatalf("%s: not to be locked: %v", path, err)
	}
	tb.Cleanup(func() { f.Close() })
	return func() { f.Close() }
}

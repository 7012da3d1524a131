package mbox

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"sort"
	"strings"
	"sync"
	"testing"
	"time"

	gombox "github.com/emersion/go-mbox"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mtakit/mtakit/internal/peer"
)

// corpus is a set of texts that are easy to get wrong.
func corpus() []string {
	rnd := rand.New(rand.NewPCG(3, 3))
	all := []string{
		"Subject: plain\n\nbody\n", "Subject: no end\n\nbody", "Subject: header only\n", "Subject: empty body\n\n",
		"Subject: from\n\nFrom a@b Thu Jan  1 00:00:01 2015\nFrom there\n>From x\n>>From y\nFrom\n", "Subject: blanks\n\n\n\nx\n\n\n",
		"From: b@c\nSubject: 8bit \xe9\n\n\xff\xfe\x00\x01\n", "Subject: long\n\n" + strings.Repeat("x", 70000) + "\n",
	}
	for range 30 {
		all = append(all, madeUp(rnd))
	}
	return all
}

// writeBox writes the corpus with Append and returns the path.
func writeBox(t *testing.T, v Variant) string {
	box := filepath.Join(t.TempDir(), "box")
	for _, s := range corpus() {
		_, err := Append(t.Context(), box, &Envelope{Sender: "ann@example.org", Date: day}, strings.NewReader(s), &AppendOptions{Variant: v})
		require.NoError(t, err)
	}
	return box
}

// Python's mailbox module finds the same messages with the same text; it does not undo quoting.
func TestInteropPython(t *testing.T) {
	python := peer.Program(t, "python3")
	box := writeBox(t, MboxRD)
	out, err := exec.Command(python, "-c", `
import mailbox, sys
box = mailbox.mbox(sys.argv[1])
for k in box.keys():
    b = box.get_bytes(k)
    sys.stdout.buffer.write(b"message %d\n" % len(b) + b)
`, box).Output()
	require.NoError(t, err)
	f, err := os.Open(box)
	require.NoError(t, err)
	defer f.Close()
	rd := NewReader(f)
	rd.Raw = true
	rest := out[bytes.Index(out, []byte("message ")):]
	n := 0
	for m, err := range rd.Messages() {
		require.NoError(t, err)
		b, err := io.ReadAll(m)
		require.NoError(t, err)
		head := fmt.Sprintf("message %d\n", len(b))
		require.True(t, bytes.HasPrefix(rest, append([]byte(head), b...)), "message %d", n)
		rest = rest[len(head)+len(b):]
		n++
	}
	require.Equal(t, len(corpus()), n)
	require.Empty(t, rest)
}

// What we write comes back from our reader; go-mbox and formail see the same number of messages.
func TestInteropReaders(t *testing.T) {
	for v := range Variant(4) {
		t.Run(v.String(), func(t *testing.T) {
			t.Parallel()
			box := writeBox(t, v)
			f, err := os.Open(box)
			require.NoError(t, err)
			defer f.Close()
			rd := NewReader(f)
			rd.Variant = v
			i := 0
			for m, err := range rd.Messages() {
				require.NoError(t, err)
				b, err := io.ReadAll(m)
				require.NoError(t, err)
				require.Equal(t, wantStored(corpus()[i], v), lengthPadding.ReplaceAllString(string(b), "${1}"))
				i++
			}
			require.Equal(t, len(corpus()), i)
			if v == MboxCL2 { // both split at the look-alikes in the body
				return
			}
			_, err = f.Seek(0, io.SeekStart)
			require.NoError(t, err)
			n := 0
			for r := gombox.NewReader(f); ; n++ {
				if _, err := r.NextMessage(); err == io.EOF {
					break
				}
				require.NoError(t, err)
			}
			require.Equal(t, i, n, "go-mbox")
			// formail's messages are ours, byte for byte, with their From_ lines and the empty line that follows.
			b, err := os.ReadFile(box)
			require.NoError(t, err)
			cmd := exec.Command(peer.Program(t, "formail"), "-s", "sh", "-c", "cat; printf '\\0end\\0'")
			cmd.Stdin = bytes.NewReader(b)
			out, err := cmd.Output()
			require.NoError(t, err)
			got := strings.Split(string(out), "\x00end\x00")
			rd = NewReader(bytes.NewReader(b))
			rd.Variant, rd.Raw = v, true
			i = 0
			for m, err := range rd.Messages() {
				require.NoError(t, err)
				_, _ = m.WriteTo(io.Discard)
				end, _ := m.End()
				require.Equal(t, string(b[m.Offset:end])+"\n", got[i], "formail: message %d", i)
				i++
			}
			require.Len(t, got, i+1, "formail")
		})
	}
}

// lengthPadding stands before a length that was filled in later.
var lengthPadding = regexp.MustCompile(`(?m)^(Content-Length: ) +`)

// wantStored is what a text reads back as: with its last line completed, and what the variant loses.
func wantStored(s string, v Variant) string {
	if !strings.HasSuffix(s, "\n") {
		s += "\n"
	}
	if v == MboxO || v == MboxCL {
		s = strings.ReplaceAll(s, "\n>From ", "\nFrom ")
	}
	if v.HasLength() {
		head, body, ok := strings.Cut(s, "\n\n")
		if !ok {
			head, body = strings.TrimSuffix(s, "\n"), ""
		}
		stored := body
		if v == MboxCL {
			stored = strings.ReplaceAll("\n"+body, "\nFrom ", "\n>From ")[1:]
		}
		s = fmt.Sprintf("%s\nContent-Length: %d\n\n%s", head, len(stored), body)
	}
	return s
}

// We, procmail and mail.local or mutt write to one mailbox at the same time; we and Python's mailbox module, too. Every
// message is there once and whole, and nothing else is.
func TestInteropConcurrentAppend(t *testing.T) {
	if testing.Short() {
		t.Skip("takes some seconds")
	}
	type writer func(t *testing.T, box string) writeFunc
	for name, writers := range map[string]map[string]writer{
		"mail.local": {"ours": ourWriter, "procmail": procmailWriter, "mail.local": mailLocalWriter},
		"mutt":       {"ours": ourWriter, "procmail": procmailWriter, "mutt": muttWriter},
		"python":     {"ours": ourWriter, "python": pythonWriter}, // beside it procmail, which minds the access time, sleeps
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			box := filepath.Join(t.TempDir(), "root") // mail.local's mailbox is named like its user
			require.NoError(t, os.WriteFile(box, nil, 0o600))
			// procmail begins with one byte and waits a second when the mailbox was read since it was written, and mutt takes
			// an empty mailbox with that byte for something else: so it is not empty when they begin.
			require.NoError(t, ourWriter(t, box)("first 000", "From me\n"))
			open := map[string]writeFunc{}
			for who, w := range writers {
				open[who] = w(t, box)
			}
			n := 25
			switch {
			case os.Getenv("CI") == "true" && name == "mail.local":
				n = 200
			case os.Getenv("CI") == "true":
				n = 50 // a lock held by another costs mutt a second
			}
			appendConcurrently(t, box, open, n)
		})
	}
}

// writeFunc appends one message.
type writeFunc func(subject, body string) error

// appendConcurrently lets each writer append n messages to a mailbox with one, all at the same time, and reads what they made of it.
func appendConcurrently(t *testing.T, box string, writers map[string]writeFunc, n int) {
	body := func(who string, i int) string { return "From me\n" + strings.Repeat(who+"\n", i) }
	var wg sync.WaitGroup
	want := []string{"first 000"}
	for who, write := range writers {
		for i := range n {
			want = append(want, fmt.Sprintf("%s %03d", who, i))
		}
		wg.Go(func() {
			for i := range n {
				if err := write(fmt.Sprintf("%s %03d", who, i), body(who, i)); err != nil {
					t.Errorf("%s: %v", who, err)
				}
			}
		})
	}
	wg.Wait()
	f, err := os.Open(box)
	require.NoError(t, err)
	defer f.Close()
	rd := NewReader(f) // mail.local and mutt write MboxCL2, the others quote
	rd.Variant, rd.Raw = MboxCL2, true
	var got []string
	for m, err := range rd.Messages() {
		require.NoError(t, err)
		b, err := io.ReadAll(m)
		require.NoError(t, err)
		head, text, _ := strings.Cut(string(b), "\n\n")
		_, subject, _ := strings.Cut("\n"+head, "\nSubject: ")
		subject, _, _ = strings.Cut(subject, "\n")
		var who string
		var i int
		_, err = fmt.Sscanf(subject, "%s %d", &who, &i)
		require.NoError(t, err, "%q", head)
		require.Equal(t, body(who, i), strings.TrimPrefix(text, ">"), "%q", head)
		got = append(got, subject)
	}
	sort.Strings(got)
	sort.Strings(want)
	require.Equal(t, want, got)
	_, err = f.Seek(0, io.SeekStart)
	require.NoError(t, err)
	for d, err := range Damages(f, &ReadOptions{Variant: MboxCL2}) {
		require.NoError(t, err)
		require.Equal(t, DamageLookalike, d.Kind, "%v", d) // the unquoted line of mail.local and mutt is none
	}
}

func ourWriter(_ *testing.T, box string) writeFunc {
	return func(subject, body string) error {
		time.Sleep(time.Millisecond)
		_, err := Append(context.Background(), box, &Envelope{Sender: "ours", Date: day}, strings.NewReader("Subject: "+subject+"\n\n"+body), nil)
		return err
	}
}

// procmail would take the dotlock first where the others take it second: it and mail.local or mutt, which hold the one
// while they wait for the other, would keep each other for half a minute. So it uses the kernel's lock alone.
func procmailWriter(t *testing.T, box string) writeFunc {
	procmail := peer.Program(t, "procmail")
	rc := filepath.Join(t.TempDir(), "rc")
	require.NoError(t, os.WriteFile(rc, []byte("DEFAULT="+box+"\n:0\n"+box+"\n"), 0o600))
	return func(subject, body string) error {
		cmd := exec.Command(procmail, "-m", rc)
		cmd.Stdin = strings.NewReader("From procmail Sun Nov 22 10:00:00 2026\nSubject: " + subject + "\n\n" + body)
		return run(cmd)
	}
}

// mutt sends a message to nobody and keeps a copy. When the mailbox is locked it gives up after some seconds.
func muttWriter(t *testing.T, box string) writeFunc {
	mutt := peer.Program(t, "mutt")
	return func(subject, body string) error {
		for {
			cmd := exec.Command(mutt, "-n", "-F", "/dev/null", "-e", "set sendmail=true mbox_type=mbox from=mutt@example.org copy=yes record="+box, "-s", subject, "nobody@example.org")
			cmd.Stdin = strings.NewReader(body)
			out, err := cmd.CombinedOutput()
			switch {
			case err != nil:
				return fmt.Errorf("%w: %s", err, out)
			case !strings.Contains(string(out), "failed"):
				return nil
			case !strings.Contains(string(out), "lock"):
				return errors.New(string(out))
			}
		}
	}
}

// mail.local delivers to /var/mail, which for it alone is the directory of the test.
func mailLocalWriter(t *testing.T, box string) writeFunc {
	const mailLocal = "/usr/libexec/sendmail/mail.local"
	peer.Program(t, mailLocal)
	spool := func(command string) *exec.Cmd {
		return exec.Command("unshare", "--mount", "sh", "-c", `mount --bind "$1" /var/mail && exec `+command, "sh", filepath.Dir(box))
	}
	if out, err := spool("true").CombinedOutput(); err != nil {
		t.Skipf("the mail spool cannot be replaced here: %v: %s", err, out)
	}
	return func(subject, body string) error {
		cmd := spool(mailLocal + " -f mail.local " + filepath.Base(box))
		cmd.Stdin = strings.NewReader("Subject: " + subject + "\n\n" + body)
		return run(cmd)
	}
}

// Python's module does not wait for a lock.
func pythonWriter(t *testing.T, box string) writeFunc {
	cmd := exec.Command(peer.Program(t, "python3"), "-c", `
import json, mailbox, sys, time
for line in sys.stdin:
    while True:
        box = mailbox.mbox(sys.argv[1])
        try:
            box.lock()
        except mailbox.ExternalClashError:
            box.close(); time.sleep(0.002); continue
        box.add(json.loads(line))
        box.flush(); box.unlock(); box.close()
        break
    print("done", flush=True)
`, box)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	require.NoError(t, err)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		in.Close()
		assert.NoError(t, cmd.Wait())
	})
	return func(subject, body string) error {
		if err := json.NewEncoder(in).Encode("Subject: " + subject + "\n\n" + body); err != nil {
			return err
		}
		_, err := io.ReadFull(out, make([]byte, len("done\n")))
		return err
	}
}

func run(cmd *exec.Cmd) error {
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	return nil
}

// Dovecot opens what we wrote, in the variant that it writes itself, and sees every body.
func TestInteropDovecot(t *testing.T) {
	doveadm := peer.Program(t, "doveadm")
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	box := writeBox(t, MboxCL2)
	dir := t.TempDir()
	conf := filepath.Join(dir, "conf")
	require.NoError(t, os.WriteFile(conf, fmt.Appendf(nil, `
protocols =
ssl = no
mail_location = mbox:%s:INBOX=%s
first_valid_uid = 0
first_valid_gid = 0
mail_uid = 1
mail_gid = 1
default_internal_user = root
default_login_user = root
default_internal_group = root
log_path = /dev/stderr
base_dir = %s
state_dir = %s
mbox_read_locks = fcntl
mbox_write_locks = dotlock fcntl
namespace inbox {
  inbox = yes
}
`, dir+"/mail", box, dir+"/run", dir+"/run"), 0o644))
	for _, p := range []string{dir, box, filepath.Dir(box)} {
		require.NoError(t, os.Chown(p, 1, 1))
		require.NoError(t, os.Chmod(filepath.Dir(p), 0o755))
	}
	cmd := exec.Command(doveadm, "-c", conf, "-f", "tab", "fetch", "size.physical hdr.subject", "mailbox", "INBOX")
	cmd.Env = append(os.Environ(), "USER=root", "HOME="+dir)
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")[1:]
	require.Len(t, lines, len(corpus()), "%s", out)
	for i, s := range corpus() {
		if strings.Contains(s, "\x00") || !strings.Contains(s, "\n\n") || strings.Contains(s, "\n\nFrom ") {
			// Dovecot shows NUL as another character, adds the empty line after a header alone, and counts the line end
			// before the next separator where a body begins like one.
			continue
		}
		if !strings.HasSuffix(s, "\n") {
			s += "\n"
		}
		assert.Equal(t, fmt.Sprint(len(s)), strings.Split(lines[i], "\t")[0], "message %d", i)
	}
}

package maildir

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/mtakit/mtakit/internal/peer"
)

// asUser runs f with the rights of uid and gid 1 on files, on a thread that is given up afterwards.
func asUser(f func()) {
	var wg sync.WaitGroup
	wg.Go(func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
		_, _ = unix.SetfsgidRetGid(1)
		_, _ = unix.SetfsuidRetUid(1)
		f()
	})
	wg.Wait()
}

// We, procmail and Dovecot deliver to one Maildir, while Dovecot and we read it and set flags. At every moment each message
// that is seen is whole, and in the end everybody sees all of them once, with all flags.
func TestInteropDovecotConcurrent(t *testing.T) {
	if testing.Short() {
		t.Skip("takes some seconds")
	}
	t.Parallel()
	n := 20
	if os.Getenv("CI") == "true" {
		n = 100
	}
	procmail := peer.Program(t, "procmail")
	d := newDir(t, nil)
	dove := dovecot(t, d)
	rc := filepath.Join(t.TempDir(), "rc")
	require.NoError(t, os.WriteFile(rc, []byte("DEFAULT="+d.Path()+"/\n"), 0o644))
	text := func(who string, i int) string {
		return fmt.Sprintf("Subject: %s %d\n\n%s", who, i, strings.Repeat("x\n", i))
	}
	var delivering, reading sync.WaitGroup
	delivering.Go(func() {
		asUser(func() {
			for i := range n {
				_, err := d.Deliver(t.Context(), nil, strings.NewReader(text("ours", i)))
				assert.NoError(t, err)
				time.Sleep(5 * time.Millisecond)
			}
		})
	})
	delivering.Go(func() {
		for i := range n {
			cmd := exec.Command(procmail, "-m", rc)
			cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 1, Gid: 1}}
			cmd.Stdin = strings.NewReader(text("procmail", i))
			out, err := cmd.CombinedOutput()
			assert.NoError(t, err, "%s", out)
		}
	})
	delivering.Go(func() {
		for i := range n {
			file := filepath.Join(filepath.Dir(rc), "message")
			assert.NoError(t, os.WriteFile(file, []byte(text("dovecot", i)), 0o644))
			dove("save", "-m", "INBOX", file)
		}
	})
	done := make(chan struct{})
	more := func() bool {
		select {
		case <-done:
			return false
		case <-time.After(10 * time.Millisecond):
			return !t.Failed()
		}
	}
	reading.Go(func() {
		for more() {
			dove("flags", "add", "\\Seen $Label", "mailbox", "INBOX", "all")
			for _, line := range strings.Split(strings.TrimSpace(dove("fetch", "hdr.subject size.physical", "mailbox", "INBOX")), "\n")[1:] {
				var who string
				var i, size int
				_, err := fmt.Sscanf(line, "%s %d\t%d", &who, &i, &size)
				assert.NoError(t, err, "%q", line)
				assert.Equal(t, len(text(who, i)), size, "%q", line)
			}
		}
	})
	flag := func() (subjects []string) {
		list, err := d.List()
		assert.NoError(t, err)
		for _, e := range list {
			f, now, err := d.Open(e)
			if !assert.NoError(t, err) {
				break
			}
			b, err := io.ReadAll(f)
			f.Close()
			assert.NoError(t, err)
			var who string
			var i int
			_, err = fmt.Sscanf(string(b), "Subject: %s %d\n", &who, &i)
			assert.NoError(t, err, "%q", b)
			assert.Equal(t, text(who, i), string(b))
			subjects = append(subjects, fmt.Sprintf("%s %d", who, i))
			_, err = d.AddFlags(now, "F")
			assert.NoError(t, err)
		}
		return subjects
	}
	reading.Go(func() {
		asUser(func() {
			for more() {
				flag()
			}
		})
	})
	delivering.Wait()
	close(done)
	reading.Wait()

	var want, wantFlags []string
	for i := range n {
		for _, who := range []string{"dovecot", "ours", "procmail"} {
			want = append(want, fmt.Sprintf("%s %d", who, i))
			wantFlags = append(wantFlags, fmt.Sprintf("%s %d\t\\Flagged \\Seen $Label", who, i))
		}
	}
	slices.Sort(want)
	slices.Sort(wantFlags)
	dove("flags", "add", "\\Seen $Label", "mailbox", "INBOX", "all")
	var got []string
	asUser(func() { got = flag() })
	slices.Sort(got)
	assert.Equal(t, want, got)
	got = strings.Split(strings.TrimSpace(strings.ReplaceAll(dove("fetch", "hdr.subject flags", "mailbox", "INBOX"), " \\Recent", "")), "\n")[1:]
	slices.Sort(got)
	assert.Equal(t, wantFlags, got)
}

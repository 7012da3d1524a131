package stats

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mtakit/mtakit"
	"github.com/mtakit/mtakit/internal/peer"
	"github.com/mtakit/mtakit/internal/vfs"
)

// program finds an executable, or ends the test.
func program(t *testing.T, names ...string) string {
	t.Helper()
	for _, p := range names {
		if b, err := os.ReadFile(p); err == nil && bytes.HasPrefix(b, []byte("\x7fELF")) {
			return p
		}
	}
	peer.Missing(t, "none of "+strings.Join(names, ", ")+": install sendmail-bin and util-linux")
	return ""
}

func mailstats(t *testing.T) string {
	return program(t, "/usr/libexec/sendmail/mailstats", "/usr/lib/sm.bin/mailstats", "/usr/sbin/mailstats")
}

// sendmailConfig is the least that sendmail delivers with, to mailers that throw everything away.
const sendmailConfig = `V10/Berkeley
Cwlocalhost
Djmx.test.example
DnMAILER-DAEMON
O LogLevel=0
O QueueDirectory=%[1]s/q
O StatusFile=%[1]s/st
O DefaultUser=0:0
O OperatorChars=.:%%@!^/[]+
O DontProbeInterfaces=true
O SuperSafe=false
O QueueLA=10000
O RefuseLA=10000
Troot
Mlocal, P=/bin/sh, F=lsDFMA5:/|@qn9, T=DNS/RFC822/X-Unix, A=sh -c "cat >/dev/null" $u
Mprog, P=/bin/sh, F=lsDFMoqeu9, T=X-Unix, A=sh -c $u
Mesmtp, P=/bin/sh, F=lsDFM, A=sh -c "cat >/dev/null" $u
SParse0
Sparse=0
R$*			$#local $: $1
`

// TestSharedWithSendmail lets sendmail and a Collector update one file at the same time, and wants every count in it.
func TestSharedWithSendmail(t *testing.T) {
	t.Parallel()
	sendmail, unshare := program(t, "/usr/sbin/sendmail"), program(t, "/usr/bin/unshare")
	if os.Getuid() != 0 {
		t.Skip("needs root: sendmail trusts no other owner of its configuration")
	}
	if exec.Command(unshare, "-u", "true").Run() != nil {
		t.Skip("this machine does not allow a host name of one's own (unshare -u)")
	}
	dir := t.TempDir()
	for p := dir; p != "/"; p = filepath.Dir(p) { // sendmail wants a safe path
		fi, err := os.Stat(p)
		require.NoError(t, err)
		if fi.Mode()&0o022 != 0 && fi.Mode()&os.ModeSticky == 0 {
			t.Skipf("%s is writable by others", p)
		}
	}
	require.NoError(t, os.Mkdir(filepath.Join(dir, "q"), 0o700))
	st, cf := filepath.Join(dir, "st"), filepath.Join(dir, "cf")
	require.NoError(t, os.WriteFile(st, nil, 0o600))
	require.NoError(t, os.WriteFile(cf, fmt.Appendf(nil, sendmailConfig, dir), 0o600))
	conf, err := ParseConfig(strings.NewReader(fmt.Sprintf(sendmailConfig, dir)), "cf")
	require.NoError(t, err)
	require.Equal(t, st, conf.StatusFile)
	require.Equal(t, []string{"prog", "*file*", "*include*", "local", "esmtp"}, conf.Mailers)

	const theirs, ours = 15, 100
	var wg sync.WaitGroup
	wg.Go(func() {
		for range theirs {
			// A name space of its own, since sendmail waits a minute when the host has no full name.
			cmd := exec.CommandContext(t.Context(), unshare, "-u", "sh", "-c", `hostname mx.test.example; exec "$@"`, "sh",
				sendmail, "-C"+cf, "-i", "-odi", "-froot", "ann", "bob")
			cmd.Stdin = strings.NewReader("Subject: x\n\nbody\n")
			out, err := cmd.CombinedOutput()
			assert.NoError(t, err, string(out))
		}
	})
	c := New(st, &Options{Mailers: conf.Mailers, LockWait: time.Minute}) // the machine may be busy
	for range ours {
		c.Event(mtakit.Event{Kind: mtakit.EventAccept, FromMailer: "esmtp", Size: 1500})
		c.Event(mtakit.Event{Kind: mtakit.EventDeliver, Mailer: "esmtp", Size: 1500, To: []string{"a", "b"}})
		assert.NoError(t, c.Flush())
		time.Sleep(2 * time.Millisecond)
	}
	wg.Wait()
	got := read(t, vfs.OS, st)
	var want [MaxMailers]Mailer
	want[3] = Mailer{From: theirs, KBFrom: theirs, To: 2 * theirs, KBTo: 2 * theirs}
	want[4] = Mailer{From: ours, KBFrom: 2 * ours, To: 2 * ours, KBTo: 4 * ours}
	got.Mailers[3].KBFrom, got.Mailers[3].KBTo = theirs, 2*theirs // sizes depend on the header that sendmail adds
	assert.Equal(t, want, got.Mailers)
}

// TestMailstatsReads has the real mailstats print what we wrote, and wants what we print.
func TestMailstatsReads(t *testing.T) {
	t.Parallel()
	prog := mailstats(t)
	dir := t.TempDir()
	cf, st := filepath.Join(dir, "cf"), filepath.Join(dir, "st")
	require.NoError(t, os.WriteFile(cf, []byte("Mlocal, P=/x\nMesmtp, P=/x\nO StatusFile="+st+"\n"), 0o600))
	conf, err := ParseConfig(bytes.NewReader([]byte("Mlocal, P=/x\nMesmtp, P=/x\n")), "cf")
	require.NoError(t, err)
	c := New(st, &Options{Create: true, Mailers: conf.Mailers})
	for range 5 {
		c.Event(accept)
		c.Event(deliver)
	}
	require.NoError(t, c.Flush())
	cmd := exec.CommandContext(t.Context(), prog, "-C", cf)
	cmd.Env = append(os.Environ(), "TZ=UTC")
	want, err := cmd.Output()
	require.NoError(t, err)
	var got bytes.Buffer
	require.NoError(t, read(t, vfs.OS, st).List(&got, &ListOptions{Names: conf.Mailers, Location: time.UTC}))
	assert.Equal(t, string(want), got.String())
}

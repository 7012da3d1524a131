package main

import (
	"bufio"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mtakit/mtakit/internal/peer"
	"github.com/mtakit/mtakit/mailtest"
)

// TestSyncs watches the system calls of the server while it accepts one message: whatever the 250 promises was synced
// before it was sent, files before they got their names and directories after, and nothing was synced that need not be.
func TestSyncs(t *testing.T) {
	strace := peer.Program(t, "strace")
	sink := mailtest.NewServer(t)
	maildir := []string{"sync Maildir/tmp", "name Maildir/new", "sync Maildir/new"}
	spool := []string{"sync queue/df", "sync queue/tf", "name queue/qf", "sync queue"}
	tests := []struct {
		name, mode, rcpt string
		known            bool     // the next hop has shown to be quick
		want             []string // in this order, before the 250
	}{
		{"local, interactive", "interactive", "ann@example.test", false, maildir},
		{"local, safe", "true", "ann@example.test", false, spool},
		{"relayed, interactive", "interactive", "eve@partner.test", false, spool},
		{"relayed at once, interactive", "interactive", "eve@partner.test", true, []string{}}, // the next hop has it
		{"relayed, safe", "true", "eve@partner.test", true, spool},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			data := t.TempDir()
			p := startServer(t, data, "-super-safe", tt.mode, "-relay", "partner.test="+sink.Addr)
			c, err := net.Dial("tcp", p.addr)
			require.NoError(t, err)
			defer c.Close()
			require.NoError(t, c.SetDeadline(time.Now().Add(30*time.Second)))
			br := bufio.NewReader(c)
			say := func(want, text string) {
				t.Helper()
				_, err := io.WriteString(c, strings.ReplaceAll(text, "\n", "\r\n"))
				require.NoError(t, err)
				for line := ""; len(line) < 4 || line[3] != ' '; {
					line, err = br.ReadString('\n')
					require.NoError(t, err)
					require.Truef(t, strings.HasPrefix(line, want), "%s", line)
				}
			}
			say("220", "")
			say("250", "EHLO c.test\n")
			send := func(rcpt string) {
				t.Helper()
				say("250", "MAIL FROM:<a@c.test>\n")
				say("250", "RCPT TO:<"+rcpt+">\n")
				say("354", "DATA\n")
				say("250", "Subject: x\n\ntext\n.\n")
			}
			send("ann@example.test") // the mailbox is there from now on
			if tt.known {
				send(tt.rcpt)
			}
			require.Eventually(t, func() bool {
				left, _ := filepath.Glob(filepath.Join(data, "queue", "?f*"))
				return len(left) == 0
			}, 10*time.Second, 10*time.Millisecond)
			stop := trace(t, strace, p.cmd.Process.Pid)
			send(tt.rcpt)
			got, after := stop(data)
			if len(got) > 1 && strings.HasPrefix(got[1], "sync queue/") {
				slices.Sort(got[:2]) // body and control file may be synced side by side
			}
			assert.Equal(t, tt.want, got, "before the 250; after it: %v", after)
		})
	}
}

// trace attaches strace to a process. The function it returns detaches it and says what was synced and named before and
// after the 250 that ends DATA.
func trace(t *testing.T, strace string, pid int) (stop func(data string) (before, after []string)) {
	t.Helper()
	out := filepath.Join(t.TempDir(), "trace")
	cmd := exec.Command(strace, "-f", "-y", "-s", "64", "-o", out, "-p", strconv.Itoa(pid),
		"-e", "trace=fsync,fdatasync,sync_file_range,msync,rename,renameat,renameat2,link,linkat,write")
	errPipe, err := cmd.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	attached := make(chan bool, 1)
	go func() {
		sc := bufio.NewScanner(errPipe)
		attached <- sc.Scan() && strings.Contains(sc.Text(), " attached")
		io.Copy(io.Discard, errPipe)
	}()
	if !<-attached {
		cmd.Wait()
		t.Skip("strace cannot attach to processes here")
	}
	return func(data string) (before, after []string) {
		t.Helper()
		require.Eventually(t, func() bool { // strace writes as it reads
			text, err := os.ReadFile(out)
			return err == nil && strings.Contains(string(text), "Message accepted for delivery")
		}, 10*time.Second, 10*time.Millisecond)
		require.NoError(t, cmd.Process.Signal(os.Interrupt))
		cmd.Wait()
		text, err := os.ReadFile(out)
		require.NoError(t, err)
		calls := slices.DeleteFunc(operations(string(text), data), func(op string) bool {
			return op == "sync statistics" || op == "sync " // counters are written from time to time, whoever sends what
		})
		i := slices.Index(calls, "accepted")
		require.GreaterOrEqual(t, i, 0, "%s", text)
		return calls[:i:i], calls[i+1:]
	}
}

var (
	callLine = regexp.MustCompile(`^\d+ +(\w+)\((.*)$`)
	resumed  = regexp.MustCompile(`^(\d+) +<\.\.\. (\w+) resumed>`)
	quoted   = regexp.MustCompile(`"([^"]*)"`)
	fdPath   = regexp.MustCompile(`\d+<([^>]*)>`)
	uniqueID = regexp.MustCompile(`(/[dtq]f)\w+$|(Maildir/\w+)/[^/]+$`)
)

// operations reads what strace wrote: "sync FILE" when a sync has ended, "name FILE" when a file got its name, "accepted"
// when the reply was sent. Names are below data and without what is different each time.
func operations(text, data string) (ops []string) {
	short := func(path string) string {
		path = strings.TrimPrefix(strings.TrimPrefix(path, data), "/")
		path = strings.TrimPrefix(path, "home/ann/")
		return uniqueID.ReplaceAllString(path, "$1$2")
	}
	pending := map[string]string{}
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n")
		pid, _, _ := strings.Cut(line, " ")
		if r := resumed.FindStringSubmatch(line); r != nil {
			if op := pending[pid]; op != "" {
				ops = append(ops, op)
			}
			delete(pending, pid)
			continue
		}
		m := callLine.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		op := ""
		switch call, args := m[1], m[2]; call {
		case "fsync", "fdatasync", "sync_file_range", "msync":
			if p := fdPath.FindStringSubmatch(args); p != nil {
				op = "sync " + short(p[1])
			} else {
				op = "sync " + args
			}
		case "rename", "renameat", "renameat2", "link", "linkat":
			if p := quoted.FindAllStringSubmatch(args, -1); len(p) > 1 {
				op = "name " + short(p[1][1])
			}
		case "write":
			if strings.Contains(args, "Message accepted for delivery") {
				op = "accepted"
			}
		}
		if strings.HasSuffix(line, "<unfinished ...>") {
			if op == "accepted" { // what was promised counts from the begin of the reply
				ops = append(ops, op)
				op = ""
			}
			pending[pid] = op
			continue
		}
		if op != "" {
			ops = append(ops, op)
		}
	}
	return ops
}

// TestOperations: the reader of traces itself, with calls that other threads interrupt.
func TestOperations(t *testing.T) {
	text := `101 fsync(7</d/queue/df6AM0001> <unfinished ...>
102 write(9<socket:[1]>, "250 2.1.5 ok\r\n", 14) = 14
101 <... fsync resumed>)              = 0
101 renameat(AT_FDCWD</x>, "/d/queue/tf6AM0001", AT_FDCWD</x>, "/d/queue/qf6AM0001") = 0
102 fsync(8</d/queue> <unfinished ...>
101 write(9<socket:[1]>, "250 2.0.0 6AM0001 Message accepted for delivery\r\n"..., 60 <unfinished ...>
102 <... fsync resumed>)              = 0
101 <... write resumed>)              = 60
101 fsync(7</d/home/ann/Maildir/tmp/1.M2.h>) = 0
`
	assert.Equal(t, []string{"sync queue/df", "name queue/qf", "accepted", "sync queue", "sync Maildir/tmp"}, operations(text, "/d"))
}

package main

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mtakit/mtakit"
	"github.com/mtakit/mtakit/queue"
)

// TestOptions: command lines as programs write them.
func TestOptions(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, line string // the name of the program and its arguments
		want       options
		err        string
	}{
		{line: "ann", want: options{args: []string{"ann"}}},
		{line: "-t -i", want: options{fromHeader: true, ignoreDots: true}},
		{line: "-ti", want: options{fromHeader: true, ignoreDots: true}},
		{line: "-oi -t -fann@a.test", want: options{fromHeader: true, ignoreDots: true, sender: "ann@a.test"}},
		{line: "-tf ann@a.test", want: options{fromHeader: true, sender: "ann@a.test"}},
		{line: "-f <> ann", want: options{sender: "<>", args: []string{"ann"}}},
		{line: "-r bob ann", want: options{sender: "bob", args: []string{"ann"}}},
		{line: "-FCronDaemon -i -B8BITMIME -oem root", want: options{fullName: "CronDaemon", ignoreDots: true, bodyType: "8BITMIME", args: []string{"root"}}},
		{line: "-oem -oi -f a@b -- -dash", want: options{ignoreDots: true, sender: "a@b", args: []string{"-dash"}}},
		{line: "-i ann -f bob", want: options{ignoreDots: true, args: []string{"ann", "-f", "bob"}}},
		{line: "-bs", want: options{mode: 's'}},
		{line: "-bv -v ann bob", want: options{mode: 'v', verbose: true, args: []string{"ann", "bob"}}},
		{line: "-bp", want: options{mode: 'p'}},
		{line: "-bi", want: options{mode: 'i'}},
		{line: "-I", want: options{mode: 'i'}},
		{name: "mailq", want: options{mode: 'p'}},
		{name: "mailq", line: "-v -qRann", want: options{mode: 'p', verbose: true, patterns: []queue.Pattern{{Kind: 'R', Text: "ann"}}}},
		{name: "newaliases", want: options{mode: 'i'}},
		{line: "-q", want: options{mode: 'q'}},
		{line: "-q30m", want: options{mode: 'q'}},
		{line: "-qI6AM -q!Sbob", want: options{mode: 'q', patterns: []queue.Pattern{{Kind: 'I', Text: "6AM"}, {Kind: 'S', Text: "bob", Not: true}}}},
		{line: "-v -q", want: options{mode: 'q', verbose: true}},
		{line: "-odq ann", want: options{deliver: 'q', args: []string{"ann"}}},
		{line: "-odi ann", want: options{deliver: 'i', args: []string{"ann"}}},
		{line: "-ODeliveryMode=queue ann", want: options{deliver: 'q', args: []string{"ann"}}},
		{line: "-O QueueDirectory=/q -oA/a ann", want: options{args: []string{"ann"}, set: map[string]string{"queuedirectory": "/q", "aliasfile": "/a"}}},
		{line: "-OTimeout.queuereturn=5d ann", want: options{args: []string{"ann"}}},
		{line: "-N success,FAILURE ann", want: options{notify: mtakit.NotifySuccess | mtakit.NotifyFailure, args: []string{"ann"}}},
		{line: "-Nnever -Rhdrs -V id1 ann", want: options{notify: mtakit.NotifyNever, ret: "HDRS", envID: "id1", args: []string{"ann"}}},
		{line: "-C /etc/server.toml ann", want: options{config: "/etc/server.toml", args: []string{"ann"}}},
		{line: "-Am -G -U -h 3 -L tag ann", want: options{args: []string{"ann"}}},
		{line: "-bX", err: "Invalid operation mode X"},
		{line: "-f", err: "option requires an argument -- 'f'"},
		{line: "-y", err: "invalid option -- 'y'"},
		{line: "-N maybe", err: "Invalid -N argument maybe"},
		{line: "-N never,success", err: "-N never does not go with other values"},
		{line: "-R some", err: "Invalid -R value some"},
		{line: "-B 9BIT", err: "Illegal body type 9BIT"},
		{line: "-O NoSuch=1", err: "Unknown option NoSuch"},
		{line: "-odx", err: "Unknown delivery mode x"},
		{line: "-qX", err: "Invalid argument for -q: X"},
	}
	for _, tt := range tests {
		t.Run(tt.name+" "+tt.line, func(t *testing.T) {
			t.Parallel()
			name := tt.name
			if name == "" {
				name = "sendmail"
			}
			got, err := parseOptions(name, strings.Fields(tt.line))
			if tt.err != "" {
				require.EqualError(t, err, tt.err)
				return
			}
			require.NoError(t, err)
			want := tt.want
			if want.mode == 0 {
				want.mode = 'm'
			}
			if want.deliver == 0 {
				want.deliver = 'b'
			}
			if want.set == nil {
				want.set, got.set = map[string]string{}, map[string]string{}
			}
			if len(got.args) == 0 {
				got.args = nil
			}
			assert.Equal(t, &want, got)
		})
	}
}

// TestExitStatus: the code of sysexits(3) for what can go wrong.
func TestExitStatus(t *testing.T) {
	t.Parallel()
	var out, errOut strings.Builder
	for line, want := range map[string]int{"": 64, "-t": 64, "-bq": 64, "-N x ann": 64} {
		data := t.TempDir()
		code := run(t.Context(), append([]string{"/usr/sbin/sendmail", "-C", config(t, data)}, strings.Fields(line)...), strings.NewReader("X: y\n\n.\n"), &out, &errOut)
		assert.Equalf(t, want, code, "sendmail %s: %s", line, &errOut)
	}
}

// config is the file of a server with its data below dir.
func config(t *testing.T, dir string) string {
	t.Helper()
	file := filepath.Join(dir, "server.toml")
	require.NoError(t, os.WriteFile(file, []byte("data = \""+filepath.Join(dir, "data")+"\"\n"), 0o600))
	return file
}

// TestInterrupted: a command that waits for the rest of a message ends when it is told to.
func TestInterrupted(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"ann", "-bs"} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithCancel(t.Context())
			in, w := io.Pipe()
			defer w.Close()
			done := make(chan int, 1)
			var out, errOut strings.Builder
			go func() {
				done <- run(ctx, []string{"sendmail", "-C", config(t, t.TempDir()), mode}, interruptible(ctx, in), &out, &errOut)
			}()
			for _, part := range []string{"NO", "OP\r\n"} { // the second is taken when the command has read the first
				_, err := io.WriteString(w, part)
				require.NoError(t, err)
			}
			cancel()
			select {
			case code := <-done:
				if mode == "-bs" {
					assert.Contains(t, out.String(), "421 4.3.2")
				} else {
					assert.Equal(t, exTempFail, code, errOut.String())
				}
			case <-time.After(time.Minute):
				t.Fatal("it does not end")
			}
		})
	}
}

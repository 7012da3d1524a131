package main

import (
	"bytes"
	"context"
	"io"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mtakit/mtakit"
	"github.com/mtakit/mtakit/mailer/smtp"
	"github.com/mtakit/mtakit/mailtest"
	"github.com/mtakit/mtakit/mbox"
	"github.com/mtakit/mtakit/queue"
)

// asStored is what a mailbox holds of a message below the trace fields: header, empty line, body, the last line
// complete.
func asStored(t *testing.T, text string) string {
	if text != "" && !strings.HasSuffix(text, "\n") {
		text += "\n"
	}
	var body bytes.Buffer
	split := queue.HeaderSplitter{Body: &body}
	_, err := io.WriteString(&split, text)
	require.NoError(t, err)
	require.NoError(t, split.Close())
	return string(split.Header()) + "\n" + body.String()
}

// traceFields are what the server puts on top; the first group is the queue id.
var traceFields = regexp.MustCompile(`^Return-Path: <[^\n]*>\nReceived: [^\n]*\n\tby [^\n]* id (\w+)(?:\n\tfor [^\n]*)?; [^\n]*\n`)

// TestRoundTrip sends a thousand messages of every kind that has broken mail software, and a large one, by SMTP, and
// finds them byte for byte in a Maildir and in an mbox.
func TestRoundTrip(t *testing.T) {
	n := 1000
	if testing.Short() {
		n = 250
	}
	tests := map[string]func(t *testing.T, data string) []string{
		"maildir:%/home/%u/Maildir": readMaildir,
		"mbox:%/mail-%u":            readMbox,
	}
	for format, read := range tests {
		name, _, _ := strings.Cut(format, ":")
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			data := t.TempDir()
			p := startServer(t, data, "-mailbox", strings.Replace(format, "%/", data+"/", 1))
			client := smtp.New(&smtp.Options{Hostname: "client.example"})
			defer client.Close()
			want := map[string]string{}
			send := func(text, from string, utf8 bool) {
				id := sendOne(t, client, p.addr, from, text, utf8)
				want[id] = asStored(t, text)
			}
			for s := range mailtest.Messages(1, n) {
				send(s.Text, s.From, s.SMTPUTF8)
			}
			send("Subject: large\n\n"+strings.Repeat(strings.Repeat("0123456789", 7)+"\n", 10<<20/71), "big@client.example", false)
			p.stop()

			got := read(t, data)
			require.Len(t, got, len(want))
			for _, text := range got {
				trace := traceFields.FindStringSubmatch(text)
				require.NotNil(t, trace, "no trace fields on top of %.300q", text)
				rest := text[len(trace[0]):]
				if want[trace[1]] != rest {
					assert.Fail(t, "message differs", "%s: %s", trace[1], mailtest.Diff(want[trace[1]], rest))
				}
			}
		})
	}
}

// sendOne delivers a message to ann and returns its queue id.
func sendOne(t *testing.T, client *smtp.Mailer, addr, from, text string, utf8 bool) string {
	t.Helper()
	sender, _, err := mtakit.ParsePath("<" + from + ">")
	require.NoError(t, err)
	ann := mtakit.Address{Local: "ann", Domain: "example.test"}
	res := client.Deliver(context.Background(), &mtakit.Attempt{
		From: sender, Host: addr, Rcpts: []mtakit.Recipient{{Addr: ann}}, Size: int64(len(text)), SMTPUTF8: utf8,
		Open: func(context.Context) (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(text)), nil },
	})
	require.NoError(t, res[0].Err)
	id, _, _ := strings.Cut(res[0].Reply, " ")
	return id
}

func readMaildir(t *testing.T, data string) []string {
	files, err := filepath.Glob(filepath.Join(data, "home/ann/Maildir/new/*"))
	require.NoError(t, err)
	var all []string
	for _, f := range files {
		text, err := os.ReadFile(f)
		require.NoError(t, err)
		all = append(all, string(text))
	}
	return all
}

func readMbox(t *testing.T, data string) []string {
	f, err := os.Open(filepath.Join(data, "mail-ann"))
	require.NoError(t, err)
	defer f.Close()
	var all []string
	for m, err := range mbox.NewReader(f).Messages() {
		require.NoError(t, err)
		text, err := io.ReadAll(m)
		require.NoError(t, err)
		all = append(all, string(text))
	}
	return all
}

// TestHostileContent: bare CR and LF are refused with the dialogue in step, and NUL is kept.
func TestHostileContent(t *testing.T) {
	data := t.TempDir()
	p := startServer(t, data)
	say := func(body string) string {
		c, err := net.Dial("tcp", p.addr)
		require.NoError(t, err)
		defer c.Close()
		require.NoError(t, c.SetDeadline(time.Now().Add(time.Minute)))
		go io.WriteString(c, "EHLO c\r\nMAIL FROM:<a@client.example>\r\nRCPT TO:<ann@example.test>\r\nDATA\r\nSubject: hostile\r\n\r\n"+body+
			"\r\n.\r\nNOOP\r\nQUIT\r\n")
		out, err := io.ReadAll(c)
		require.NoError(t, err)
		return string(out)
	}
	const inStep = "250 2.0.0 OK\r\n221 2.0.0 mx.example.test closing connection\r\n"
	for _, body := range []string{"bare \r CR", "bare \n LF", "x\n.\nMAIL FROM:<evil@x>", "x\r\n.\nQUIT", "x\r.\r"} {
		out := say(body)
		assert.Contains(t, out, "554 5.5.2", "%q", body)
		assert.True(t, strings.HasSuffix(out, inStep), "%q: %q", body, out)
	}
	out := say("with \x00 NUL and \x01 others")
	assert.Contains(t, out, "250 2.0.0 6")
	assert.True(t, strings.HasSuffix(out, inStep))
	p.stop()
	all := readMaildir(t, data)
	require.Len(t, all, 1)
	assert.True(t, strings.HasSuffix(all[0], "\n\nwith \x00 NUL and \x01 others\n"), "%q", all[0])
}

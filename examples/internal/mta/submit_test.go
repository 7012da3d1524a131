package mta

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mtakit/mtakit"
	"github.com/mtakit/mtakit/queue"
)

// TestReadLocal: what programs write on standard input.
func TestReadLocal(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 200_000)
	tests := []struct {
		name, in     string
		ignoreDots   bool
		header, body string
	}{
		{"plain", "A: b\n\ntext\n", false, "A: b\n", "text\n"},
		{"CR LF", "A: b\r\n\r\ntext\r\n", false, "A: b\n", "text\n"},
		{"dot ends", "A: b\n\nx\n.\ny\n", false, "A: b\n", "x\n"},
		{"dot CR LF ends", "A: b\r\n\r\nx\r\n.\r\ny\r\n", false, "A: b\n", "x\n"},
		{"dot without line end", "A: b\n\nx\n.", false, "A: b\n", "x\n"},
		{"dot ignored", "A: b\n\nx\n.\ny\n", true, "A: b\n", "x\n.\ny\n"},
		{"two dots stay", "A: b\n\n..\n", false, "A: b\n", "..\n"},
		{"last line without end", "A: b\n\ntext", false, "A: b\n", "text\n"},
		{"bare CR stays", "A: b\n\na\rb\n", false, "A: b\n", "a\rb\n"},
		{"long line", "A: b\n\n" + long + "\r\nend\n", false, "A: b\n", long + "\nend\n"},
		{"no header", "text\n", false, "", "text\n"},
		{"nothing", "", false, "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			h, b, err := readLocal(strings.NewReader(tt.in), tt.ignoreDots, 1<<20)
			require.NoError(t, err)
			assert.Equal(t, tt.header, string(h))
			assert.Equal(t, tt.body, string(b))
		})
	}
}

// endless is a line that does not end.
type endless struct{ read int }

func (e *endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'x'
	}
	e.read += len(p)
	return len(p), nil
}

// TestReadLocalLimit: no more is read than a message may have, in however few lines it comes.
func TestReadLocalLimit(t *testing.T) {
	t.Parallel()
	in := &endless{}
	_, _, err := readLocal(io.LimitReader(in, 1<<30), false, 100_000)
	var e *mtakit.Error
	require.ErrorAs(t, err, &e)
	assert.Equal(t, 552, e.Code)
	assert.Less(t, in.read, 1_000_000)
	_, _, err = readLocal(strings.NewReader("A: b\r\n\r\n0123456789\r\n"), false, 17)
	assert.NoError(t, err, "the limit counts what is kept")
	_, _, err = readLocal(strings.NewReader("A: b\n\n0123456789\n"), false, 16)
	assert.Error(t, err)
}

// TestCompleteHeader: fields that are there are left alone, and nothing can be smuggled in with a name.
func TestCompleteHeader(t *testing.T) {
	t.Parallel()
	m := newMTA(t, nil)
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	from := mtakit.Address{Local: "ann", Domain: "example.test"}
	got := string(m.completeHeader([]byte("Subject: x\n"), from, "", now))
	assert.Regexp(t, `^Date: Sun, 22 Nov 2026 12:00:00 \+0000\nFrom: ann@example\.test\nMessage-Id: <202611221200\.\w+@mx\.example\.test>\nSubject: x\n$`, got)
	full := "date: yesterday\nFROM: somebody\nMessage-ID: <1@x>\n"
	assert.Equal(t, full, string(m.completeHeader([]byte(full), from, "Ann", now)))
	for name, want := range map[string]string{
		"Ann Example":       "From: Ann Example <ann@example.test>\n",
		"Ann (Ex) \"A\" \\": "From: \"Ann (Ex) \\\"A\\\" \\\\\" <ann@example.test>\n",
		"Ann\nBcc: x\r\n":   "From: \"Ann Bcc: x  \" <ann@example.test>\n",
	} {
		assert.Contains(t, string(m.completeHeader(nil, from, name, now)), want)
	}
}

func TestHeaderRecipients(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, header string
		except, want []string
	}{
		{"all three", "To: ann, Bob <bob@x.test>\nCC: carol\nbcc: dora\nFrom: eve\n", nil, []string{"ann", "bob@x.test", "carol", "dora"}},
		{"folded", "To: ann,\n\tbob,\n carol\nSubject: To: x\n", nil, []string{"ann", "bob", "carol"}},
		{"several fields", "To: ann\nTo: bob\n", nil, []string{"ann", "bob"}},
		{"group and comment", "To: team: ann, bob;, (nobody) carol\n", nil, []string{"ann", "bob", "carol"}},
		{"quoted comma", "To: \"Example, Ann\" <ann@x.test>\n", nil, []string{"ann@x.test"}},
		{"arguments are left out", "To: ann, BOB\n", []string{"<ann>", "bob"}, nil},
		{"sent again", "To: ann\nResent-To: bob\nresent-cc: carol\nResent-From: x\n", nil, []string{"bob", "carol"}},
		{"none", "Subject: x\n", nil, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			assert.Equal(t, tt.want, headerRecipients([]byte(tt.header), tt.except))
		})
	}
	assert.Equal(t, "To: a\nX: b\n", string(removeField([]byte("Bcc: c,\n\td\nTo: a\nbcc : e\nX: b\n"), "Bcc")))
}

// TestSubmit: bad recipients do not keep the others from getting the message, and a sender cannot write header fields.
func TestSubmit(t *testing.T) {
	t.Parallel()
	m := newMTA(t, nil)
	submit := func(s *Submission) (string, error) {
		s.User = "me"
		if s.Input == nil {
			s.Input = strings.NewReader("Subject: s\n\ntext\n")
		}
		id, err := m.Submit(context.Background(), s)
		return string(id), err
	}
	id, err := submit(&Submission{Rcpts: []string{"nobody", "ann", "gone@example.test"}, BodyType: "8BITMIME"})
	assert.NotEmpty(t, id)
	var re *RcptError
	require.ErrorAs(t, err, &re)
	assert.Equal(t, "nobody... User unknown", re.Error())
	assert.ErrorContains(t, err, "gone@example.test... User unknown")
	require.Len(t, mailOf(t, m, "ann"), 1)
	assert.Contains(t, mailOf(t, m, "ann")[0], "Return-Path: <me@mx.example.test>\nReceived: (from me@localhost)\n")

	id, err = submit(&Submission{Rcpts: []string{"nobody"}})
	assert.Empty(t, id)
	assert.ErrorAs(t, err, &re)
	_, err = submit(&Submission{FromHeader: true})
	assert.ErrorIs(t, err, ErrNoRecipients)
	_, err = submit(&Submission{Rcpts: []string{"bob"}, Input: iotestErr{}})
	assert.ErrorIs(t, err, errInput)
	assert.Empty(t, mailOf(t, m, "bob"), "half a message is none")

	for _, sender := range []string{"x\nBcc: eve@partner.test", "x@y.test\r\nX-Evil: 1"} {
		_, err = submit(&Submission{Sender: sender, Rcpts: []string{"carol"}})
		for _, text := range mailOf(t, m, "carol") {
			header, _, _ := strings.Cut(text, "\n\n")
			assert.NotRegexp(t, `(?m)^(Bcc|X-Evil)`, header)
		}
		assert.Error(t, err)
	}
}

var errInput = errors.New("broken pipe")

type iotestErr struct{}

func (iotestErr) Read(p []byte) (int, error) {
	if len(p) > 3 {
		return copy(p, "A: b"), errInput
	}
	return 0, errInput
}

// TestQueueRunEnds: a queue run does not wait for a next hop that does not answer.
func TestQueueRunEnds(t *testing.T) {
	t.Parallel()
	m := newMTA(t, nil, relayTo("partner.test", "127.0.0.1:1"))
	for range 20 { // more than are tried at once
		_, err := m.Submit(context.Background(), &Submission{User: "me", Sender: "a@client.example", QueueOnly: true,
			Rcpts: []string{"x@partner.test"}, Input: strings.NewReader("Subject: x\n\nx\n")})
		require.NoError(t, err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 40*time.Second) // it would be asked again after a minute
	defer cancel()
	m = reopen(t, m)
	require.NoError(t, m.RunQueue(ctx, queue.Filter{}))
	require.NoError(t, ctx.Err())
	assert.Len(t, queued(t, m), 20)
}

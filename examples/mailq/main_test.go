package main

import (
	"bytes"
	"context"
	"io"
	"strings"
	"testing"

	"github.com/mtakit/mtakit/queue"
)

// spool makes a queue of three messages and returns its directory with their ids.
func spool(t *testing.T) (dir string, ids []string) {
	dir = t.TempDir()
	d, err := queue.Open(dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range [][2]string{{"<ann@example.org>", "<bob@example.net>"}, {"<ann@example.org>", "<eve@example.com>"}, {"<>", "<bob@example.net>"}} {
		w, err := d.Create(t.Context(), &queue.Envelope{Sender: m[0], Header: []byte("Subject: test\n"),
			Units: []queue.UnitSpec{{Rcpts: []queue.Recipient{{Addr: m[1], Flags: queue.RcptPrimary | queue.RcptFailure}}}}})
		if err == nil {
			_, err = io.WriteString(w, "body\n")
		}
		if err == nil {
			err = w.Commit(t.Context())
		}
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, string(w.ID()))
	}
	return dir, ids
}

// TestSurgery is one story: look, hold, release, delete, bring back, bounce. Every step tells what mailq is called with and
// what its output contains.
func TestSurgery(t *testing.T) {
	dir, ids := spool(t)
	for _, step := range []struct {
		args string
		exit int
		want string
	}{
		{"", 0, "Total requests: 3"},
		{"-qReve", 0, "(1 request)"},
		{"-json -domain example.com", 0, `"recipients":[{"address":"<eve@example.com>"}]`},
		{"hold -domain example.com", 0, "would change 1"},
		{"", 0, "Total requests: 3"},
		{"hold -domain example.com -m spam? -y", 0, "1 matched, 1 changed, 0 busy, 0 failed"},
		{"", 0, "Total requests: 2"},
		{"-qQ", 0, "QUARANTINE: hold: spam?"},
		{"release -y", 0, "1 changed"},
		{"delete -sender <> -y -m bounce", 0, "1 changed"},
		{"deleted", 0, ids[2]},
		{"", 0, "Total requests: 2"},
		{"undelete " + ids[2], 0, ""},
		{"", 0, "Total requests: 3"},
		{"undelete " + ids[2], exNoInput, "not in the queue"},
		{"delete -id " + ids[2] + " -y", 0, "1 changed"},
		{"purge", 0, "1 deleted"},
		{"purge -y", 0, "1 removed"},
		{"retry -older 1h -y", 0, "0 matched"},
		{"requeue -y", 0, "2 changed"},
		{"bounce -y -domain example.com -m gone -host mx.example.org", 0, "1 changed"},
		{"", 0, "MAILER-DAEMON"},
		{"-v", 0, "<ann@example.org>"},
		{"delete -y", exUsage, "which messages"},
		{"frobnicate", exUsage, "what is"},
		{"hold -nonsense", exUsage, "nonsense"},
	} {
		var out bytes.Buffer
		c := &command{out: &out, err: &out}
		args := strings.Fields(step.args)
		args = append(args[:min(1, len(args)):min(1, len(args))], append([]string{"-OQueueDirectory=" + dir}, args[min(1, len(args)):]...)...)
		if code := c.run(context.Background(), args); code != step.exit || !strings.Contains(out.String(), step.want) {
			t.Errorf("mailq %s: exit %d, want %d; output without %q:\n%s", step.args, code, step.exit, step.want, out.String())
		}
	}
	d, err := queue.Open(dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	for u, err := range d.List(t.Context(), queue.Filter{Sender: []string{"<>"}}) {
		if err != nil || u.Rcpts[0].Addr != "<ann@example.org>" || u.Flags&queue.FlagResponse == 0 {
			t.Errorf("the bounce is %+v, %v", u, err)
		}
	}
}

func TestNoDirectory(t *testing.T) {
	var out bytes.Buffer
	c := &command{out: &out, err: &out}
	if code := c.run(context.Background(), []string{"-OQueueDirectory=/nowhere/at/all"}); code != exConfig {
		t.Errorf("exit %d, want %d", code, exConfig)
	}
}

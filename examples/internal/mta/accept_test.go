package mta

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mtakit/mtakit"
	"github.com/mtakit/mtakit/mailtest"
	"github.com/mtakit/mtakit/queue"
)

// results is a mailer that answers for users by name and passes the others on.
func results(next mtakit.Mailer, verdicts map[string]error) mtakit.Mailer {
	return mtakit.MailerFunc(func(ctx context.Context, a *mtakit.Attempt) []mtakit.Result {
		out := make([]mtakit.Result, len(a.Rcpts))
		for i, r := range a.Rcpts {
			if err, ok := verdicts[r.Route.User]; ok {
				out[i].Err = err
				continue
			}
			one := *a
			one.Rcpts = a.Rcpts[i : i+1]
			out[i] = next.Deliver(ctx, &one)[0]
		}
		return out
	})
}

var (
	errQuota  = &mtakit.Error{Code: 552, Status: mtakit.StatusMailboxFull, Text: "Mailbox full"}
	errLocked = &mtakit.Error{Code: 451, Status: mtakit.Status(4_002_000), Text: "Mailbox locked"}
)

// TestMixedOutcomes: who gets it, who waits, who hears of it, and what the client is told, for every mixture of outcomes of
// a direct delivery.
func TestMixedOutcomes(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name     string
		verdicts map[string]error
		noQueue  bool   // the queue cannot be written
		reply    string // begin of the last reply
		got      string // users who have it
		waiting  int    // messages in the queue
		report   bool   // carol, the sender, gets a report
	}{
		{name: "all delivered", reply: "250 2.0.0", got: "ann bob"},
		{name: "one full", verdicts: map[string]error{"bob": errQuota}, reply: "250 2.0.0", got: "ann", report: true},
		{name: "all full", verdicts: map[string]error{"ann": errQuota, "bob": errQuota}, reply: "552 5.2.2 Mailbox full"},
		{name: "one locked", verdicts: map[string]error{"bob": errLocked}, reply: "250 2.0.0", got: "ann", waiting: 1},
		{name: "all locked", verdicts: map[string]error{"ann": errLocked, "bob": errLocked}, reply: "250 2.0.0", waiting: 1},
		{name: "one locked, one full", verdicts: map[string]error{"ann": errLocked, "bob": errQuota}, reply: "250 2.0.0", waiting: 1, report: true},
		{name: "unknown error", verdicts: map[string]error{"bob": errors.New("what?")}, reply: "250 2.0.0", got: "ann", waiting: 1},
		{name: "all delivered without a queue", noQueue: true, reply: "250 2.0.0", got: "ann bob"},
		{name: "all locked without a queue", verdicts: map[string]error{"ann": errLocked, "bob": errLocked}, noQueue: true, reply: "451 4.3.0"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			m := newMTA(t, nil)
			box := m.mailers[mtakit.MailerLocal]
			m.mailers[mtakit.MailerLocal] = results(box, tt.verdicts)
			if tt.noQueue {
				require.NoError(t, os.RemoveAll(m.cfg.QueueDir))
			}
			_, last := send(t, m, local, "<carol@example.test>", "<ann@example.test>", "<bob@example.test>")
			assert.Truef(t, strings.HasPrefix(last, tt.reply), "%s", last)
			var got []string
			for _, u := range []string{"ann", "bob"} {
				if n := len(mailOf(t, m, u)); n > 0 {
					assert.Equal(t, 1, n)
					got = append(got, u)
				}
			}
			assert.Equal(t, tt.got, strings.Join(got, " "))
			assert.Equal(t, tt.report, len(mailOf(t, m, "carol")) == 1)
			if !tt.noQueue {
				assert.Len(t, queued(t, m), tt.waiting)
			}
		})
	}
}

// TestAcceptanceSteps: what each step of accept leaves behind, here for a message with a recipient in every pot.
func TestAcceptanceSteps(t *testing.T) {
	t.Parallel()
	m := newMTA(t, nil, relayTo("partner.test", "127.0.0.1:1"))
	m.mailers[mtakit.MailerLocal] = results(m.mailers[mtakit.MailerLocal], map[string]error{"bob": errQuota, "carol": errLocked})
	body := []byte("text\n")
	sub := &submission{
		from: mtakit.Address{Local: "eve", Domain: "partner.test"}, fromText: "<eve@partner.test>", header: []byte("Subject: x\n"),
		body: func() io.Reader { return bytes.NewReader(body) }, memory: body, inMemory: true, bodySize: int64(len(body)), client: "localhost",
	}
	for _, text := range []string{"<ann@example.test>", "<bob@example.test>", "<carol@example.test>", "<dan@partner.test>", "<nobody@example.test>"} {
		res, err := m.resolver.ResolveText(t.Context(), sub.from, text)
		require.NoError(t, err)
		sub.rcpts = append(sub.rcpts, submittedRcpt{text: text, res: res})
	}
	names := func(targets []*target) (names []string) {
		for _, t := range targets {
			names = append(names, t.Addr.Local)
		}
		return names
	}

	a := m.newAcceptance(sub)
	a.plan()
	assert.Equal(t, []string{"ann", "bob", "carol"}, names(a.direct))
	assert.Equal(t, []string{"dan"}, names(a.queued))
	assert.Equal(t, []string{"nobody"}, names(a.failed))
	assert.Empty(t, queued(t, m))

	require.NoError(t, a.store(t.Context()))
	assert.Len(t, a.claims, 1)
	assert.Len(t, queued(t, m), 1)
	assert.Empty(t, mailOf(t, m, "ann"), "the queue comes first")

	a.deliver(t.Context())
	assert.Equal(t, []string{"ann"}, names(a.done))
	assert.Equal(t, []string{"carol"}, names(a.late))
	assert.Equal(t, []string{"nobody", "bob"}, names(a.failed))
	assert.Len(t, mailOf(t, m, "ann"), 1)

	require.NoError(t, a.storeLate(t.Context()))
	assert.Len(t, a.claims, 2)
	assert.Len(t, queued(t, m), 2)
	assert.NotEqual(t, a.claims[0].Unit().ID, a.claims[1].Unit().ID)

	require.NoError(t, a.report(t.Context()))
	assert.Len(t, queued(t, m), 3, "the report to the sender waits, too")
	a.handOver()
	stop := run(t, m)
	eventually(t, "the runner has them", func() bool { return strings.Contains(log(t, m), "to=<dan@partner.test>") })
	stop()
}

// TestUntold: when one recipient failed and the report to the sender cannot be stored, the client is refused: otherwise
// nobody would ever know. Two copies for the others are the lesser evil.
func TestUntold(t *testing.T) {
	t.Parallel()
	m := newMTA(t, nil, relayTo("partner.test", "127.0.0.1:1"))
	m.mailers[mtakit.MailerLocal] = results(m.mailers[mtakit.MailerLocal], map[string]error{"bob": errQuota})
	require.NoError(t, os.RemoveAll(m.cfg.QueueDir))
	_, last := send(t, m, local, "<eve@partner.test>", "<ann@example.test>", "<bob@example.test>")
	assert.Truef(t, strings.HasPrefix(last, "451 4.3.0"), "%s", last)
}

// flaky is a Forwarder that cannot tell for a while.
type flaky struct {
	mtakit.Forwarder
	broken atomic.Bool
}

func (f *flaky) Forward(ctx context.Context, a mtakit.Account, detail string) (mtakit.Expansion, bool, error) {
	if f.broken.Load() && a.Name == "dora" {
		return mtakit.Expansion{}, false, errors.New("the file server does not answer")
	}
	return f.Forwarder.Forward(ctx, a, detail)
}

// TestUndecidedMember: a member of a list whose forward file cannot be read now waits, and is looked up again: mail does not
// go past the forward file, and the other members get no second copy.
func TestUndecidedMember(t *testing.T) {
	t.Parallel()
	for _, rcpt := range []string{"dora", "crew", "box"} {
		for _, mode := range []string{"interactive", "true"} {
			t.Run(rcpt+" "+mode, func(t *testing.T) {
				t.Parallel()
				m := newMTA(t, map[string]string{
					"etc/passwd":         passwdABCD,
					"etc/aliases":        "postmaster: carol\ncrew: ann, dora\n",
					"etc/virtusertable":  "box@example.test\tdora\n",
					"home/dora/.forward": "bob\n",
				}, func(c *Config) { c.SuperSafe = mode })
				fwd := &flaky{Forwarder: m.resolver.Forward}
				m.resolver.Forward = fwd
				fwd.broken.Store(true)
				_, last := send(t, m, local, "<carol@example.test>", "<"+rcpt+"@example.test>")
				assert.Contains(t, last, "250 2.0.0")
				require.Len(t, queued(t, m), 1)
				require.NoError(t, m.RunQueue(context.Background(), queue.Filter{}))
				require.Len(t, queued(t, m), 1, "still nobody can tell")
				require.Empty(t, mailOf(t, m, "bob"))

				fwd.broken.Store(false)
				again := reopen(t, m)
				require.NoError(t, again.RunQueue(context.Background(), queue.Filter{}))
				assert.Empty(t, queued(t, m))
				assert.Len(t, mailOf(t, m, "bob"), 1)
				assert.Empty(t, mailOf(t, m, "dora"), "her forward file leads elsewhere")
				assert.Empty(t, mailOf(t, m, "carol"), "no report")
				if rcpt == "crew" {
					assert.Len(t, mailOf(t, m, "ann"), 1)
				}
			})
		}
	}
}

// flakyList is an Includer that cannot read one list for a while.
type flakyList struct {
	mtakit.Includer
	broken atomic.Bool
}

func (f *flakyList) Include(ctx context.Context, path string, ctl mtakit.Control, fromAlias bool) (mtakit.Expansion, error) {
	if f.broken.Load() && filepath.Base(path) == "list" {
		return mtakit.Expansion{}, &mtakit.Error{Code: 451, Status: mtakit.StatusListExpansion.AsTemporary(), Text: "Cannot open " + path + ": Input/output error"}
	}
	return f.Includer.Include(ctx, path, ctl, fromAlias)
}

// TestUnreadableList: an include file that cannot be read now waits by itself, as in sendmail's queue: its siblings get no
// second copy, and its members may be programs all the same.
func TestUnreadableList(t *testing.T) {
	t.Parallel()
	for _, rcpt := range []string{"crew", "fleet", "club", "sailor"} {
		for _, mode := range []string{"interactive", "true"} {
			t.Run(rcpt+" "+mode, func(t *testing.T) {
				t.Parallel()
				m := newMTA(t, map[string]string{
					"etc/passwd": passwdABCD,
					"etc/aliases": "postmaster: carol\ncrew: ann, :include:DATA/list\nfleet: :include:DATA/outer\nsailor: crew\n" +
						"club: ann, :include:DATA/list\nowner-club: carol\n",
					"outer": ":include:DATA/list\nann\n",
					"list":  "dora, \"|cat >>DATA/prog\"\n",
				}, func(c *Config) { c.SuperSafe = mode })
				list := &flakyList{Includer: m.resolver.Includes}
				m.resolver.Includes = list
				list.broken.Store(true)
				_, last := send(t, m, local, "<bob@example.test>", "<"+rcpt+"@example.test>")
				assert.Contains(t, last, "250 2.0.0")
				require.NoError(t, m.RunQueue(context.Background(), queue.Filter{}))
				require.Len(t, mailOf(t, m, "ann"), 1)
				names := queued(t, m)
				require.Len(t, names, 1, "the list waits")
				text, err := os.ReadFile(filepath.Join(m.cfg.QueueDir, names[0]))
				require.NoError(t, err)
				assert.Regexp(t, `(?m)^R[A-Z]*::include:.*/list$`, string(text))
				assert.Regexp(t, `(?m)^C.*(crew|outer|club)(@example.test)?$`, string(text))

				list.broken.Store(false)
				require.NoError(t, reopen(t, m).RunQueue(context.Background(), queue.Filter{}))
				assert.Empty(t, queued(t, m))
				assert.Len(t, mailOf(t, m, "ann"), 1, "no second copy")
				assert.Len(t, mailOf(t, m, "dora"), 1)
				assert.Empty(t, mailOf(t, m, "bob"), "no report")
				assert.Empty(t, mailOf(t, m, "carol"), "no report")
				prog, err := os.ReadFile(filepath.Join(m.cfg.Data, "prog"))
				if assert.NoError(t, err) {
					assert.Equal(t, 1, strings.Count(string(prog), "Subject: test"))
					assert.Equal(t, rcpt == "club", strings.HasPrefix(string(prog), "From carol"))
				}
			})
		}
	}
}

// reopen is another process on the same data: a runner runs once.
func reopen(t *testing.T, m *MTA) *MTA {
	t.Helper()
	cfg := m.cfg
	again, err := Open(context.Background(), cfg)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, again.Close()) })
	return again
}

// TestSafeMode: what goes straight into mailboxes in interactive mode arrives the same by way of the queue.
func TestSafeMode(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"interactive", "true", "queued"} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			sink := mailtest.NewServer(t)
			m := newMTA(t, map[string]string{
				"etc/passwd":         passwdABCD,
				"etc/aliases":        "postmaster: carol\nann: ann, bob\nclub: dora, DATA/file, \"|cat >>DATA/prog\", eve@partner.test\nowner-club: carol\n",
				"home/dora/.forward": "\\dora, DATA/copy\n",
			}, relayTo("partner.test", sink.Addr), func(c *Config) {
				if mode == "true" {
					c.SuperSafe = mode
				}
			})
			if mode == "queued" { // by one process, and delivered by another
				_, err := m.Submit(context.Background(), &Submission{User: "me", Sender: "a@client.example", QueueOnly: true,
					Rcpts: []string{"ann@example.test", "club@example.test"}, Input: strings.NewReader("Subject: test\n\nthe text\n")})
				require.NoError(t, err)
			} else {
				_, last := send(t, m, local, "<a@client.example>", "<ann@example.test>", "<club@example.test>")
				assert.Contains(t, last, "250 2.0.0")
			}
			if mode != "interactive" {
				assert.Empty(t, mailOf(t, m, "ann"))
				assert.NotEmpty(t, queued(t, m))
			}
			if mode == "queued" {
				require.NoError(t, reopen(t, m).RunQueue(context.Background(), queue.Filter{}))
			} else {
				require.NoError(t, m.Finish(context.Background()))
			}
			assert.Empty(t, queued(t, m), log(t, m))
			for _, u := range []string{"ann", "bob", "dora"} {
				assert.Lenf(t, mailOf(t, m, u), 1, "%s", u)
			}
			assert.Empty(t, mailOf(t, m, "carol"))
			for _, f := range []string{"file", "copy", "prog"} {
				text, err := os.ReadFile(filepath.Join(m.cfg.Data, f))
				if assert.NoError(t, err) {
					assert.Equal(t, 1, strings.Count(string(text), "Subject: test"))
				}
			}
			require.Equal(t, 1, sink.Count())
			assert.Equal(t, "carol", strings.Split(sink.Messages()[0].From, "@")[0], "the owner of the list is the sender of what goes to it")
			if assert.Len(t, mailOf(t, m, "dora"), 1) {
				assert.Contains(t, mailOf(t, m, "dora")[0], "Return-Path: <carol")
			}
			assert.Contains(t, mailOf(t, m, "ann")[0], "Return-Path: <a@client.example>")
		})
	}
}

// TestPlaceAtHop: a place at a next hop is given back, whatever becomes of the message.
func TestPlaceAtHop(t *testing.T) {
	t.Parallel()
	sink := mailtest.NewServer(t)
	m := newMTA(t, map[string]string{"etc/aliases": "postmaster: carol\nboth: eve@partner.test, \"|cat\"\n"}, relayTo("partner.test", sink.Addr))
	stop := run(t, m)
	send(t, m, local, "<a@client.example>", "<eve@partner.test>")
	eventually(t, "the next hop is known", func() bool { return sink.Count() == 1 && len(queued(t, m)) == 0 })
	stop()
	require.NoError(t, os.RemoveAll(m.cfg.QueueDir))
	for range 3 {
		_, last := send(t, m, local, "<a@client.example>", "<both@example.test>")
		assert.Contains(t, last, "451 4.3.0")
	}
	_, last := send(t, m, local, "<a@client.example>", "<eve@partner.test>")
	assert.Contains(t, last, "250 2.0.0")
	m.hops.mu.Lock()
	defer m.hops.mu.Unlock()
	for host, h := range m.hops.seen {
		assert.Zero(t, h.active, host)
	}
}

package queue

import (
	"context"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mtakit/mtakit"
	"github.com/mtakit/mtakit/internal/vectordir"
)

// TestGroupMaxRcpts: the entries that sendmail made of one submission of 23 recipients with r=5 come out the same when
// the whole is queued again with the same limit.
func TestGroupMaxRcpts(t *testing.T) {
	t.Parallel()
	theirs, err := Open(unpack(t, vectordir.Own(t, vectorZip), "14-split/mqueue"), nil)
	require.NoError(t, err)
	names, _, err := theirs.scan(theirs.spools[0], "q")
	require.NoError(t, err)
	entry := map[string]*entry{} // by first recipient
	var whole *Envelope
	all := map[string]Recipient{}
	for _, n := range names {
		e, err := theirs.read(n.sp, n.letter, n.id)
		require.NoError(t, err)
		entry[e.unit.Rcpts[0].Addr] = e
		for _, r := range e.unit.Rcpts {
			all[r.Addr] = r
		}
		env := e.unit.Envelope
		env.ID, env.Priority, env.Flags, whole = "", 0, 0, &env
	}
	var rcpts []Recipient
	for _, addr := range slices.Sorted(maps.Keys(all)) { // the order of the submission: u00, u01, …
		rcpts = append(rcpts, all[addr])
	}
	require.Len(t, rcpts, 23)

	for _, group := range []string{"", "many"} {
		root := t.TempDir()
		require.NoError(t, os.Mkdir(root+"/many", 0o700))
		o := &DirOptions{MaxRcpts: 5}
		if group != "" {
			o = &DirOptions{Groups: []Group{{Name: "many", MaxRcpts: 5}}}
		}
		d, err := Open(root, o)
		require.NoError(t, err)
		env := *whole
		env.Units = []UnitSpec{{Rcpts: rcpts, Group: group}}
		w, err := d.Create(t.Context(), &env)
		require.NoError(t, err)
		_, err = w.Write([]byte("body\n"))
		require.NoError(t, err)
		claims, err := w.CommitClaimed(t.Context())
		require.NoError(t, err)
		require.Len(t, claims, len(entry))
		require.Len(t, env.Units, len(entry), "one for each claim")
		assert.Equal(t, env.ID, claims[0].Unit().ID, "the first part keeps the id")
		for i, c := range claims {
			u := c.Unit()
			want := entry[u.Rcpts[0].Addr]
			require.NotNil(t, want, "no entry of sendmail begins with %s", u.Rcpts[0].Addr)
			assert.Equal(t, env.Units[i].Rcpts, u.Rcpts)
			assert.Equal(t, want.unit.Rcpts, u.Rcpts)
			assert.Equal(t, want.unit.Header, u.Header)
			assert.Equal(t, want.unit.Flags, u.Flags)
			assert.Equal(t, claims[0].Unit().Priority, u.Priority, "that of the whole")
			assert.Equal(t, group, u.Group)
			data, err := os.ReadFile(c.(*dirClaim).dataPath)
			require.NoError(t, err)
			assert.Equal(t, "body\n", string(data))
			c.Release()
		}
		left, err := fs.Glob(os.DirFS(root), "*/?f*")
		require.NoError(t, err)
		direct, err := fs.Glob(os.DirFS(root), "?f*")
		require.NoError(t, err)
		assert.Len(t, append(left, direct...), 2*len(entry))
	}
}

// TestGroupInterval: a group with an interval is tried at that interval, others by the retry policy.
func TestGroupInterval(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	require.NoError(t, os.Mkdir(root+"/slow", 0o700))
	d, err := Open(root, &DirOptions{Groups: []Group{{Name: "slow"}}})
	require.NoError(t, err)
	synctest.Test(t, func(t *testing.T) {
		tried := map[string][]time.Duration{}
		began := time.Now()
		r := NewRunner(Options{Store: d, Rescan: -1, Retry: func(*Unit) time.Duration { return 7 * time.Hour },
			Intervals: map[string]time.Duration{"slow": time.Hour}, Concurrency: 1, Warn: Timeouts{-1, -1, -1, -1},
			Attempt: func(_ context.Context, c Claim) []Outcome {
				g := c.Unit().Group
				tried[g] = append(tried[g], time.Since(began).Round(time.Minute))
				return []Outcome{{Result: mtakit.Result{Err: temporary("")}, Tried: true}}
			}})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- r.Run(ctx) }()
		for _, g := range []string{"", "slow"} {
			w, err := d.Create(ctx, &Envelope{Sender: "<ann@example.org>", Header: []byte("Subject: x\n"),
				Units: []UnitSpec{{Group: g, Dest: "d" + g, Rcpts: []Recipient{{Addr: "<bob@example.net>"}}}}})
			require.NoError(t, err)
			require.NoError(t, w.Commit(ctx))
		}
		time.Sleep(5*time.Hour + time.Minute)
		cancel()
		require.NoError(t, <-done)
		assert.Equal(t, []time.Duration{0}, tried[""])
		assert.Equal(t, []time.Duration{0, time.Hour, 2 * time.Hour, 3 * time.Hour, 4 * time.Hour, 5 * time.Hour}, tried["slow"])
	})
}

// TestMailqGroup: -qG lists one group, without a total, as the real program does (8.17.1.9, with the same directories).
func TestMailqGroup(t *testing.T) {
	t.Parallel()
	root := unpack(t, vectordir.Own(t, vectorZip), "22-queue-groups/mqueue")
	d, err := Open(root+"/main", &DirOptions{Groups: []Group{{Name: "slow", Path: "../slow*"}}})
	require.NoError(t, err)
	first, second := root+"/slow1 is empty\n", "\t\t"+root+"/slow2 (1 request)\n"+`-----Q-ID----- --Size-- -----Q-Time----- ------------Sender/Recipient-----------
6AM85YFH009499        2 Sun Nov 22 08:05 jane@client.example.com
					 s0@rcpt4.example.net
					 s1@rcpt4.example.net
					 s2@rcpt4.example.net
					 s3@rcpt4.example.net
`
	if d.spools[len(d.spools)-1].name == "../slow1" { // directories stand as the file system has them
		first, second = second, first
	}
	slow := first + second
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"-bp", "-qGslow", "-qIH"}, slow},
		{[]string{"-qIH", "-qGSLOW"}, slow},
		{[]string{"-qGmqueue", "-qInothing"}, root + "/main is empty\n"},
		{[]string{"-qGnone"}, "Queue group none unknown\n"},
	} {
		l, _, rest, err := ParseMailqArgs(c.args)
		require.NoError(t, err)
		require.Empty(t, rest)
		l.Location = time.UTC
		l.Load = func() int { return 0 }
		var b strings.Builder
		_, err = d.Print(t.Context(), &b, l)
		require.NoError(t, err)
		assert.Equal(t, c.want, b.String(), "%v", c.args)
	}
	for arg, want := range map[string]string{"-q!Gslow": "Can not use -q!G", "-qG": "Queue group  unknown"} {
		_, _, _, err := ParseMailqArgs([]string{arg})
		assert.EqualError(t, err, want)
	}
	_, _, _, err = ParseMailqArgs([]string{"-qGa", "-qGb"})
	assert.EqualError(t, err, "Can not use multiple -qG options")
}

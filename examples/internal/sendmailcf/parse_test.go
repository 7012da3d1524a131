package sendmailcf

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestParse: options of both forms, comments, continued lines, and lines that are none of ours.
func TestParse(t *testing.T) {
	t.Parallel()
	f, err := Parse(strings.NewReader(`# a comment
V10/Berkeley
O QueueDirectory=/var/spool/mqueue  # where
O MinQueueAge= 30m
Oq600000
O QueueSortOrder=
	host
ORthis is no option of ours
Qslow, P=/var/spool/mqueue/slow*, r=3, I=1h30m, R=2, F=f, J=10, N=5
Qfast P=/var/spool/mqueue/fast, recipients=7
Qbare
R$*	$: Q no queue
`), "test.cf")
	require.NoError(t, err)
	assert.Equal(t, "/var/spool/mqueue", f.Option("queuedirectory"))
	assert.Equal(t, "30m", f.Option("MinQueueAge"))
	assert.Empty(t, f.Option("MaxQueueAge"))
	assert.Equal(t, "600000", f.Option("QueueFactor"))
	assert.Equal(t, "host", f.Option("QueueSortOrder"))
	assert.Equal(t, []Queue{
		{Name: "slow", Path: "/var/spool/mqueue/slow*", Flags: "f", Runners: 2, MaxRcpts: 3, Interval: 90 * time.Minute, Jobs: 10, Nice: 5},
		{Name: "fast", Path: "/var/spool/mqueue/fast", MaxRcpts: 7},
		{Name: "bare"},
	}, f.Queues)
}

// TestParseFaults: the good lines stay, and each bad one is named. The texts are sendmail's.
func TestParseFaults(t *testing.T) {
	t.Parallel()
	const text = "Qearly\nO QueueD=/q\nQ\nQa, P=/a\nQb, Z=3\nQc, P\nQd, r=7many\nQe, I=soon\nQA, P=/b\nO Foo=1\nQf, P=\n"
	f, err := Parse(strings.NewReader(text), "test.cf")
	require.Error(t, err)
	for _, want := range []string{"test.cf:1: QueueDir must be defined before queue groups", "test.cf:3: name required for queue",
		"test.cf:5: Qb: unknown queue equate Z=", "test.cf:6: queue c: `=' expected", "test.cf:10: readcf: unknown option name Foo",
		"test.cf:11: queue f: empty path name"} {
		assert.ErrorContains(t, err, want)
	}
	assert.Equal(t, []Queue{{Name: "A", Path: "/b"}, {Name: "d", MaxRcpts: 7}, {Name: "e"}}, f.Queues, "the later definition")
	assert.Equal(t, []Option{{"QueueDirectory", "/q", 2}}, f.Options)
	assert.Equal(t, []string{
		"test.cf: line 1: QueueDir must be defined before queue groups",
		"test.cf: line 2: Option QueueD used as abbreviation for QueueDirectory",
		"test.cf: line 3: name required for queue",
		"test.cf: line 5: Qb: unknown queue equate Z=",
		"test.cf: line 6: queue c: `=' expected",
		"test.cf: line 8: Invalid time unit `o'", "test.cf: line 8: Invalid time unit `o'", "test.cf: line 8: Invalid time unit `n'",
		"test.cf: line 10: readcf: unknown option name Foo",
		"test.cf: line 11: queue f: empty path name",
	}, f.Remarks)
	_, err = Parse(strings.NewReader("Qearly\n"), "test.cf", "QueueDirectory")
	assert.NoError(t, err, "the command line has set it")
}

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
O MinQueueAge = 30m
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
	f, err := Parse(strings.NewReader("Q\nQa, P=/a\nQb, Z=3\nQc, P\nQd, r=many\nQe, I=soon\nQA, P=/b\n"), "test.cf")
	require.Error(t, err)
	for _, want := range []string{"test.cf:1: name required for queue", "test.cf:3: Qb: unknown queue equate Z=", "test.cf:4: queue c: `=' expected",
		"test.cf:5: queue d: r=many: ", "test.cf:6: queue e: I=soon: "} {
		assert.ErrorContains(t, err, want)
	}
	assert.Equal(t, []Queue{{Name: "A", Path: "/b"}}, f.Queues, "the later definition")
}

package queue

import (
	"context"
	"fmt"
	"io"
	"os"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// writers runs f b.N times from n goroutines.
func writers(b *testing.B, n int, f func(worker, i int)) {
	var next atomic.Int64
	var wg sync.WaitGroup
	b.ResetTimer()
	for w := range n {
		wg.Go(func() {
			for {
				i := int(next.Add(1))
				if i > b.N {
					return
				}
				f(w, i)
			}
		})
	}
	wg.Wait()
}

// bare is what the disk can do: create, write 4 KB, fsync, rename. It is the measure for BenchmarkAccept.
func bare(dir string, i int, data []byte) {
	tmp := fmt.Sprintf("%s/tf%d", dir, i)
	f, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		panic(err)
	}
	if _, err := f.Write(data); err != nil {
		panic(err)
	}
	if err := f.Sync(); err != nil {
		panic(err)
	}
	f.Close()
	if err := os.Rename(tmp, fmt.Sprintf("%s/bare%d", dir, i)); err != nil {
		panic(err)
	}
}

var benchHeader = []byte("Received: from client.example.com (client.example.com [192.0.2.55])\n\tby mx.example.org with ESMTP id 6AM85DpW009159\n" +
	"\tfor <bob@example.net>; Sun, 22 Nov 2026 08:05:13 GMT\nFrom: ann@example.org\nTo: bob@example.net\nSubject: benchmark\nMessage-ID: <1@example.org>\n")

func benchMessage(ctx context.Context, d *Dir, body []byte) []Claim {
	env := &Envelope{Sender: "<ann@example.org>", Header: benchHeader, Macros: []Macro{{"r", "ESMTP"}, {"s", "client.example.com"}},
		Units: []UnitSpec{{Rcpts: []Recipient{{Addr: "<bob@example.net>", Flags: RcptPrimary | RcptFailure | RcptDelay}}}}}
	w, err := d.Create(ctx, env)
	if err != nil {
		panic(err)
	}
	if _, err := w.Write(body); err != nil {
		panic(err)
	}
	cs, err := w.CommitClaimed(ctx)
	if err != nil {
		panic(err)
	}
	return cs
}

// BenchmarkAccept queues 4 KB messages durably, as a server does between the final dot and its 250, beside the bare program.
// Both write into one directory, in short turns, and nothing is deleted before the end: the disk changes its mind from second
// to second, and ext4 without a journal creates files several times slower for minutes wherever others were deleted.
func BenchmarkAccept(b *testing.B) { benchAccept(b, nil) }

// BenchmarkAcceptSyncFS is the same with DirOptions.SyncFS.
func BenchmarkAcceptSyncFS(b *testing.B) { benchAccept(b, &DirOptions{SyncFS: true}) }

func benchAccept(b *testing.B, o *DirOptions) {
	const turns = 20
	for _, n := range []int{1, 10, 50} {
		b.Run("writers="+strconv.Itoa(n), func(b *testing.B) {
			dir := b.TempDir()
			d, err := Open(dir, o)
			require.NoError(b, err)
			ctx := context.Background()
			body := make([]byte, 4096)
			sides := [2]func(i int){
				func(int) {
					for _, c := range benchMessage(ctx, d, body) {
						c.Release()
					}
				},
				func(i int) { bare(dir, i, body) },
			}
			var elapsed, used [2]float64 // seconds, microseconds
			for turn := range 2 * turns {
				side := (turn + turn/2) % 2 // 0 1 1 0 0 1 1 …
				from, until := b.N*(turn/2)/turns, b.N*(turn/2+1)/turns
				next := atomic.Int64{}
				next.Store(int64(from))
				start, before := time.Now(), cpuTime()
				var wg sync.WaitGroup
				for range n {
					wg.Go(func() {
						for i := int(next.Add(1)); i <= until; i = int(next.Add(1)) {
							sides[side](i)
						}
					})
				}
				wg.Wait()
				elapsed[side] += time.Since(start).Seconds()
				used[side] += float64((cpuTime() - before).Microseconds())
			}
			for side, name := range []string{"queue", "bare"} {
				b.ReportMetric(float64(b.N)/elapsed[side], name+"-msgs/s")
				b.ReportMetric(used[side]/float64(b.N), name+"-cpu-µs")
			}
			b.ReportMetric(100*elapsed[1]/elapsed[0], "%-of-bare")
		})
	}
}

// BenchmarkAcceptComplete is the whole life of a message that is delivered at the first attempt.
func BenchmarkAcceptComplete(b *testing.B) {
	for _, n := range []int{1, 10, 50} {
		b.Run("writers="+strconv.Itoa(n), func(b *testing.B) {
			d, err := Open(b.TempDir(), nil)
			require.NoError(b, err)
			d.setLazy(func() {})
			ctx := context.Background()
			body := make([]byte, 4096)
			b.SetBytes(4096)
			b.ReportAllocs()
			writers(b, n, func(_, _ int) {
				for _, c := range benchMessage(ctx, d, body) {
					if err := c.Complete(ctx); err != nil {
						panic(err)
					}
				}
			})
			runtime.KeepAlive(d)
		})
	}
}

// fill makes n entries without syncing, in memory if the machine has a file system there.
func fill(b testing.TB, n int) *Dir {
	dir := b.TempDir()
	if shm, err := os.MkdirTemp("/dev/shm", "queue"); err == nil {
		b.Cleanup(func() { os.RemoveAll(shm) })
		dir = shm
	}
	if keep := os.Getenv("QUEUE_BENCH_DIR"); keep != "" { // to let another program list the same entries
		dir = keep
	}
	d, err := Open(dir, &DirOptions{SuperSafe: SuperSafeFalse, Create: true})
	require.NoError(b, err)
	ctx := context.Background()
	body := []byte("a short body\n")
	for i := range n {
		env := &Envelope{Sender: "<ann@example.org>", Header: benchHeader, Priority: int64(30000 + i*7919%100000),
			Units: []UnitSpec{{Rcpts: []Recipient{{Addr: "<bob@d" + strconv.Itoa(i%500) + ".example>", Flags: RcptPrimary | RcptFailure | RcptDelay}}}}}
		w, err := d.Create(ctx, env)
		require.NoError(b, err)
		_, err = w.Write(body)
		require.NoError(b, err)
		require.NoError(b, w.Commit(ctx))
	}
	return d
}

func entries(b *testing.B, otherwise int) int {
	if s := os.Getenv("QUEUE_BENCH_ENTRIES"); s != "" {
		n, err := strconv.Atoi(s)
		require.NoError(b, err)
		return n
	}
	return otherwise
}

// BenchmarkMailq lists QUEUE_BENCH_ENTRIES entries (50,000 in the documentation) from the spool alone.
func BenchmarkMailq(b *testing.B) {
	n := entries(b, 2000)
	d := fill(b, n)
	b.ReportAllocs()
	for b.Loop() {
		total, err := d.Print(context.Background(), io.Discard, Listing{})
		require.NoError(b, err)
		require.Equal(b, n, total)
	}
	b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "entries/s")
}

// BenchmarkStart is a Runner that finds a full spool: the time to its first attempt, and until it knows all entries.
func BenchmarkStart(b *testing.B) {
	n := entries(b, 2000)
	d := fill(b, n)
	for b.Loop() {
		began := time.Now()
		first := make(chan time.Duration, 1)
		hold := make(chan struct{})
		r := NewRunner(Options{Store: d, Rescan: -1, Attempt: func(context.Context, Claim) []Outcome {
			select {
			case first <- time.Since(began):
			default:
			}
			<-hold
			return nil
		}})
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error)
		go func() { done <- r.Run(ctx) }()
		b.ReportMetric(float64((<-first).Microseconds())/1000, "ms-to-first")
		for r.Stats().Units < n {
			time.Sleep(50 * time.Millisecond)
		}
		b.ReportMetric(float64(time.Since(began).Milliseconds()), "ms-to-all")
		r.Pause("") // else the attempts that end would begin others, and leave thousands deferred for the next round
		cancel()
		close(hold)
		require.NoError(b, <-done)
	}
}

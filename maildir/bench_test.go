//go:build unix

package maildir

import (
	"context"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// mail4k is a message of 4 KiB.
var mail4k = strings.Repeat("0123456789012345678901234567890123456789012345678901234567890\n", 66)

// concurrently runs f b.N times on g goroutines and reports messages a second and the processor time of one.
func concurrently(b *testing.B, g int, f func(i int64) error) {
	b.ReportAllocs()
	var next atomic.Int64
	var wg sync.WaitGroup
	before := cpu()
	b.ResetTimer()
	for range g {
		wg.Go(func() {
			for {
				i := next.Add(1)
				if i > int64(b.N) {
					return
				}
				if err := f(i); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msgs/s")
	b.ReportMetric(float64(cpu()-before)/1000/float64(b.N), "cpu-µs/msg")
}

// cpu is the processor time of this process in nanoseconds.
func cpu() int64 {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return u.Utime.Nano() + u.Stime.Nano()
}

// Durable delivery of 4 KiB messages into one Maildir, beside the bare system calls (create, write, fsync, close, link,
// unlink, fsync of the directory: what a C program would do). Both deliver into the same Maildir, in short turns, and
// nothing is deleted before the end: the disk changes its mind from second to second, and ext4 without a journal creates
// files several times slower for minutes wherever others were deleted.
func BenchmarkDeliver(b *testing.B) {
	for _, g := range []int{1, 10, 50} {
		b.Run(strconv.Itoa(g), func(b *testing.B) {
			d := newDir(b, nil)
			ours := func(int64) error {
				_, err := d.Deliver(context.Background(), nil, strings.NewReader(mail4k))
				return err
			}
			theirs := func(i int64) error { return bare(d.Path(), i) }
			inTurns(b, g, "mtakit", ours, "bare", theirs)
		})
	}
}

// inTurns runs both functions b.N times each, on g goroutines.
func inTurns(b *testing.B, g int, name1 string, f1 func(i int64) error, name2 string, f2 func(i int64) error) {
	const turns = 20
	b.ReportAllocs()
	var elapsed, used [2]float64 // seconds, microseconds
	var done [2]int64
	for turn := range 2 * turns {
		side := (turn + turn/2) % 2 // 0 1 1 0 0 1 1 …
		f := [...]func(int64) error{f1, f2}[side]
		until := int64(b.N) * int64(turn/2+1) / turns
		start, before := time.Now(), cpu()
		next := atomic.Int64{}
		next.Store(done[side])
		var wg sync.WaitGroup
		for range g {
			wg.Go(func() {
				for i := next.Add(1); i <= until; i = next.Add(1) {
					if err := f(i); err != nil {
						b.Error(err)
						return
					}
				}
			})
		}
		wg.Wait()
		done[side] = until
		elapsed[side] += time.Since(start).Seconds()
		used[side] += float64(cpu()-before) / 1000
	}
	for side, name := range []string{name1, name2} {
		b.ReportMetric(float64(b.N)/elapsed[side], name+"-msgs/s")
		b.ReportMetric(used[side]/float64(b.N), name+"-cpu-µs")
	}
	b.ReportMetric(100*elapsed[1]/elapsed[0], "%-of-"+name2)
}

func bare(dir string, i int64) error {
	tmp, final := dir+"/tmp/"+strconv.FormatInt(i, 10), dir+"/new/"+strconv.FormatInt(i, 10)
	fd, err := syscall.Open(tmp, syscall.O_WRONLY|syscall.O_CREAT|syscall.O_EXCL|syscall.O_CLOEXEC, 0o600)
	if err != nil {
		return err
	}
	if _, err = syscall.Write(fd, []byte(mail4k)); err != nil {
		return err
	}
	if err = syscall.Fsync(fd); err != nil {
		return err
	}
	if err = syscall.Close(fd); err != nil {
		return err
	}
	if err = syscall.Link(tmp, final); err != nil {
		return err
	}
	if err = syscall.Unlink(tmp); err != nil {
		return err
	}
	fd, err = syscall.Open(dir+"/new", syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	if err = syscall.Fsync(fd); err != nil {
		return err
	}
	return syscall.Close(fd)
}

// Without the disk: what our own code and the system calls cost.
func BenchmarkDeliverNoSync(b *testing.B) {
	d := newDir(b, &Options{NoSync: true})
	concurrently(b, 1, func(int64) error {
		_, err := d.Deliver(context.Background(), nil, strings.NewReader(mail4k))
		return err
	})
}

// Listing a large mailbox: MTAKIT_MESSAGES of them, 20,000 if not set. The peer is reading the directory with
// os.File.Readdirnames, which gives names alone.
func BenchmarkList(b *testing.B) {
	n := 20000
	if s := os.Getenv("MTAKIT_MESSAGES"); s != "" {
		var err error
		n, err = strconv.Atoi(s)
		require.NoError(b, err)
	}
	d := newDir(b, &Options{NoSync: true})
	var namer Namer
	for range n {
		f, err := os.OpenFile(filepath.Join(d.Path(), "cur", namer.Name()+",S=4096:2,S"), os.O_CREATE|os.O_EXCL, 0o600)
		require.NoError(b, err)
		require.NoError(b, f.Close())
	}
	peak := func() float64 {
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return float64(m.HeapSys) / (1 << 20)
	}
	b.Run("readdir", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			f, err := os.Open(filepath.Join(d.Path(), "cur"))
			require.NoError(b, err)
			got := 0
			for {
				names, err := f.Readdirnames(1024)
				got += len(names)
				if err != nil {
					break
				}
			}
			f.Close()
			require.Equal(b, n, got)
		}
		b.ReportMetric(peak(), "heap-MiB")
	})
	b.Run("All", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			got := 0
			for e, err := range d.All() {
				if err != nil {
					b.Fatal(err)
				}
				if e.Sub == CurSub {
					got++
				}
			}
			require.Equal(b, n, got)
		}
		b.ReportMetric(peak(), "heap-MiB")
	})
	b.Run("Watch", func(b *testing.B) { // the first look, and one more
		b.ReportAllocs()
		var m runtime.MemStats
		for b.Loop() {
			w := watched{d: d, known: map[string]sighting{}, silent: true}
			_, err := w.look()
			require.NoError(b, err)
			w.silent = false
			events, err := w.look()
			require.NoError(b, err)
			require.Empty(b, events)
			require.Len(b, w.known, n)
			b.StopTimer()
			runtime.GC()
			runtime.ReadMemStats(&m)
			b.StartTimer()
			runtime.KeepAlive(w)
		}
		b.ReportMetric(float64(m.HeapAlloc)/(1<<20), "live-MiB")
		b.ReportMetric(peak(), "heap-MiB")
	})
	b.Run("List", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			list, err := d.List()
			require.NoError(b, err)
			require.Len(b, list, n)
		}
		b.ReportMetric(peak(), "heap-MiB")
	})
}

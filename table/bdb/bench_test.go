//go:build unix

package bdb_test

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mtakit/mtakit/table"
	"github.com/mtakit/mtakit/table/bdb"
)

// sourceText is makemap's input for n records of an alias file's kind, in random order.
func sourceText(n int) []byte {
	var b bytes.Buffer
	for i := range n {
		fmt.Fprintf(&b, "user%d\tbox%d.%d@mail%d.example.org\n", uint32(i)*2654435761, i*37%4096, i%977, i%64)
	}
	return b.Bytes()
}

// cpu returns the processor time of this process: on a busy machine it says more than the clock.
func cpu() time.Duration {
	var ru syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &ru)
	return time.Duration(ru.Utime.Nano() + ru.Stime.Nano())
}

// reportCPU adds the processor time since start per operation.
func reportCPU(b *testing.B, start time.Duration) {
	b.ReportMetric(float64(cpu()-start)/float64(b.N), "cpu-ns/op")
}

// BenchmarkBuild builds a file of a million records from text in memory, without writing it to a disk.
func BenchmarkBuild(b *testing.B) {
	text := sourceText(1_000_000)
	for _, kind := range []string{"hash", "btree"} {
		b.Run(kind, func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			start := cpu()
			for b.Loop() {
				builder, err := builders[kind](table.BuildOptions{})
				require.NoError(b, err)
				s := table.NewScanner(bytes.NewReader(text), "bench", nil)
				for s.Scan() {
					if err := builder.Put(s.Key(), s.Value()); err != nil {
						b.Fatal(err)
					}
				}
				n, err := builder.WriteTo(io.Discard)
				require.NoError(b, err)
				b.ReportMetric(float64(n), "file-bytes")
			}
			reportCPU(b, start)
		})
	}
}

// BenchmarkLookup looks keys up in a file of a million records, one after the other, on one core; "rarely" examines the file
// every 100 milliseconds only. Keys come in the order of memory, as if they had just been read, and are spread over the file.
func BenchmarkLookup(b *testing.B) {
	recs := make([]table.Record, 1_000_000)
	for i := range recs {
		recs[i] = table.Record{Key: fmt.Sprintf("user%d", uint32(i)*2654435761), Value: fmt.Sprintf("box%d@mail%d.example.org", i, i%64)}
	}
	for _, kind := range []string{"hash", "btree"} {
		path := filepath.Join(b.TempDir(), kind+".db")
		require.NoError(b, os.WriteFile(path, build(b, kind, table.BuildOptions{}, recs), 0o600))
		f, err := bdb.Open(b.Context(), path, table.OpenOptions{NUL: table.NULNever})
		require.NoError(b, err)
		defer f.Close()
		rarely, err := bdb.Open(b.Context(), path, table.OpenOptions{NUL: table.NULNever, CheckInterval: 100 * time.Millisecond})
		require.NoError(b, err)
		defer rarely.Close()
		for _, want := range []string{"present", "absent", "rarely"} {
			f := f
			if want == "rarely" {
				f = rarely
			}
			b.Run(kind+"/"+want, func(b *testing.B) {
				b.ReportAllocs()
				i := 0
				start := cpu()
				for b.Loop() {
					key := recs[i%len(recs)].Key
					if want == "absent" {
						key = key[1:]
					}
					if _, ok, err := f.Lookup(b.Context(), key); err != nil || ok != (want != "absent") {
						b.Fatal(key, ok, err)
					}
					i++
				}
				reportCPU(b, start)
			})
		}
	}
}

// BenchmarkOpen opens a small and a large file.
func BenchmarkOpen(b *testing.B) {
	for _, n := range []int{10, 300_000} {
		recs := make([]table.Record, n)
		for i := range recs {
			recs[i] = table.Record{Key: fmt.Sprint("user", i), Value: fmt.Sprintf("box%d@mail%d.example.org", i, i%64)}
		}
		path := filepath.Join(b.TempDir(), "x.db")
		require.NoError(b, os.WriteFile(path, build(b, "hash", table.BuildOptions{}, recs), 0o600))
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				f, err := bdb.Open(b.Context(), path, table.OpenOptions{})
				require.NoError(b, err)
				f.Close()
			}
		})
	}
}

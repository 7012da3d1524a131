//go:build unix

package cdb_test

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mtakit/mtakit/table"
	"github.com/mtakit/mtakit/table/cdb"
)

// cpu returns the processor time of this process: on a busy machine it says more than the clock.
func cpu() time.Duration {
	var ru syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &ru)
	return time.Duration(ru.Utime.Nano() + ru.Stime.Nano())
}

// BenchmarkLookup looks keys up in a file of a million records, one after the other, on one core; "rarely" examines the file
// every 100 milliseconds only. Keys come in the order of memory, as if they had just been read, and are spread over the file.
func BenchmarkLookup(b *testing.B) {
	recs := make([]table.Record, 1_000_000)
	for i := range recs {
		recs[i] = table.Record{Key: fmt.Sprintf("user%d", uint32(i)*2654435761), Value: fmt.Sprintf("box%d@mail%d.example.org", i, i%64)}
	}
	path := filepath.Join(b.TempDir(), "x.cdb")
	require.NoError(b, os.WriteFile(path, build(b, recs), 0o600))
	f, err := cdb.Open(b.Context(), path, table.OpenOptions{NUL: table.NULNever})
	require.NoError(b, err)
	defer f.Close()
	rarely, err := cdb.Open(b.Context(), path, table.OpenOptions{NUL: table.NULNever, CheckInterval: 100 * time.Millisecond})
	require.NoError(b, err)
	defer rarely.Close()
	for _, want := range []string{"present", "absent", "rarely"} {
		f := f
		if want == "rarely" {
			f = rarely
		}
		b.Run(want, func(b *testing.B) {
			b.ReportAllocs()
			start, i := cpu(), 0
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
			b.ReportMetric(float64(cpu()-start)/float64(b.N), "cpu-ns/op")
		})
	}
}

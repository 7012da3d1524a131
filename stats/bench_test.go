package stats_test

import (
	"path/filepath"
	"testing"

	"github.com/mtakit/mtakit"
	"github.com/mtakit/mtakit/stats"
)

// BenchmarkEvent is what a delivery pays for being counted, from several goroutines at once.
func BenchmarkEvent(b *testing.B) {
	c := stats.New("unused", nil)
	e := mtakit.Event{Kind: mtakit.EventDeliver, Mailer: "local", To: []string{"<ann@example.org>"}, Size: 1200}
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			c.Event(e)
		}
	})
}

// BenchmarkFlush is one update of the file, synced.
func BenchmarkFlush(b *testing.B) {
	c := stats.New(filepath.Join(b.TempDir(), "st"), &stats.Options{Create: true})
	b.ReportAllocs()
	for b.Loop() {
		c.Event(mtakit.Event{Kind: mtakit.EventConnect})
		if err := c.Flush(); err != nil {
			b.Fatal(err)
		}
	}
}

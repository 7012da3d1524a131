package logfmt_test

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/mtakit/mtakit"
	"github.com/mtakit/mtakit/logfmt"
)

func delivered() mtakit.Event {
	return mtakit.Event{Time: noon, Kind: mtakit.EventDeliver, ID: "6AM8DHw1004404", To: []string{"<ann@example.org>"}, Mailer: "esmtp",
		Delay: time.Second, XDelay: time.Second, Priority: 30367, Relay: "mx.example.net. [192.0.2.1]", Status: mtakit.StatusSuccess, Reply: "Ok: queued as 1234"}
}

// BenchmarkAppend is what the server pays for the to= line of a delivery.
func BenchmarkAppend(b *testing.B) {
	f := logfmt.NewFormatter(opts())
	e := delivered()
	var buf []byte
	b.ReportAllocs()
	for b.Loop() {
		buf = f.Append(buf[:0], &e)
	}
	b.SetBytes(int64(len(buf)))
}

// BenchmarkEvent adds handing the line to the writing goroutine, from several goroutines at once.
func BenchmarkEvent(b *testing.B) {
	w := logfmt.NewWriter(io.Discard, opts())
	defer w.Close()
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		e := delivered()
		for pb.Next() {
			w.Event(e)
		}
	})
}

// BenchmarkParse reads the 752 lines that sendmail logged in the test scenarios.
func BenchmarkParse(b *testing.B) {
	log, err := os.ReadFile(filepath.Join("testdata", "vectors", "maillog"))
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(log)))
	b.ReportAllocs()
	for b.Loop() {
		for _, err := range logfmt.Parse(bytes.NewReader(log), "log", nil) {
			if err != nil {
				b.Fatal(err)
			}
		}
	}
}

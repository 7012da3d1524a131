package mailtest_test

import (
	"testing"

	"github.com/mtakit/mtakit/mailtest"
)

// BenchmarkServer is the start and end of a server: what a test pays for having its own.
func BenchmarkServer(b *testing.B) {
	for b.Loop() {
		mailtest.NewServer(b).Close()
	}
}

// BenchmarkDNS is the start of a name server with ten records.
func BenchmarkDNS(b *testing.B) {
	zone := ""
	for range 10 {
		zone += "mx.example.test. 300 IN A 192.0.2.1\n"
	}
	for b.Loop() {
		if !mailtest.Run(func(tb testing.TB) { mailtest.NewDNS(tb, zone) }) {
			b.Fatal("not started")
		}
	}
}

// BenchmarkMessages is the generation of one message of each kind.
func BenchmarkMessages(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		n := 0
		for s := range mailtest.Messages(1, len(mailtest.Kinds())) {
			n += len(s.Text)
		}
		b.SetBytes(int64(n))
	}
}

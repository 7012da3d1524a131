package maildir

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestDeliver(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "home", "Maildir")
	d := New(dir, &Options{Create: true})
	name, err := d.Deliver(context.Background(), []byte("Return-Path: <>\n"), strings.NewReader("Subject: x\n\nbody\n"))
	require.NoError(t, err)
	b, err := os.ReadFile(filepath.Join(dir, "new", name))
	require.NoError(t, err)
	require.Equal(t, "Return-Path: <>\nSubject: x\n\nbody\n", string(b))
	require.Regexp(t, fmt.Sprintf(`,S=%d$`, len(b)), name)
}

func BenchmarkDeliver(b *testing.B) {
	for _, g := range []int{1, 10, 50} {
		b.Run(fmt.Sprint(g), func(b *testing.B) {
			dir := filepath.Join(b.TempDir(), "Maildir")
			d := New(dir, &Options{Create: true})
			msg := strings.Repeat("0123456789012345678901234567890123456789012345678901234567890\n", 66)
			b.ReportAllocs()
			b.SetParallelism((g + 1) / 2)
			var n atomic.Int64
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					_, err := d.Deliver(context.Background(), nil, strings.NewReader(msg))
					if err != nil {
						b.Error(err)
					}
					n.Add(1)
				}
			})
			b.ReportMetric(float64(n.Load())/b.Elapsed().Seconds(), "msgs/s")
		})
	}
}

func BenchmarkDeliverNoSync(b *testing.B) {
	dir := filepath.Join(b.TempDir(), "Maildir")
	d := New(dir, &Options{Create: true, NoSync: true})
	msg := strings.Repeat("0123456789012345678901234567890123456789012345678901234567890\n", 66)
	b.ReportAllocs()
	for b.Loop() {
		_, err := d.Deliver(context.Background(), nil, strings.NewReader(msg))
		if err != nil {
			b.Error(err)
		}
	}
}

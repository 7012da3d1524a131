package queue_test

import (
	"archive/zip"
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mtakit/mtakit/queue"
)

// TestDifferential lists control files that sendmail wrote and this test damaged, and compares with what sendmail prints. Each entry has
// a body: without one sendmail reads the control file in full, and complains about more than a listing knows of.
// MTAKIT_DIFFERENTIAL is how many queues to list, other ones at each run; by default it is always the same 40.
func TestDifferential(t *testing.T) {
	if testing.Short() {
		t.Skip("asks sendmail often")
	}
	t.Parallel()
	s := newSendmail(t)
	n, seed := 40, uint64(1)
	if v := os.Getenv("MTAKIT_DIFFERENTIAL"); v != "" {
		var err error
		n, err = strconv.Atoi(v)
		require.NoError(t, err)
		seed = uint64(time.Now().UnixNano())
	}
	t.Logf("seed %d", seed)
	d := damager{rnd: rand.New(rand.NewPCG(seed, 0)), files: controlFiles(t)}
	for _, f := range d.files {
		d.lines = append(d.lines, strings.Split(f, "\n")...)
	}
	modes := [][]string{nil, nil, {"-v"}, {"-qQ"}, {"-qL"}, {"-v", "-qQ"}, {"-qRexample"}, {"-qSann"}, {"-qIA"}, {"-q!Sann"}, {"-q!Rexample"}}
	for i := range n {
		names, err := filepath.Glob(filepath.Join(s.dir, "*"))
		require.NoError(t, err)
		for _, name := range names {
			require.NoError(t, os.RemoveAll(name))
		}
		var texts []string
		for j := range 1 + d.rnd.IntN(3) {
			id := fmt.Sprintf("%cB4Lkt%05d", 'A'+j, 10000+i)
			kind := []string{"qf", "qf", "qf", "hf", "Qf"}[d.rnd.IntN(5)]
			texts = append(texts, d.damaged())
			require.NoError(t, os.WriteFile(filepath.Join(s.dir, kind+id), []byte(texts[j]), 0o600))
			require.NoError(t, os.WriteFile(filepath.Join(s.dir, "df"+id), make([]byte, d.rnd.IntN(3000)), 0o600))
		}
		mode := modes[d.rnd.IntN(len(modes))]
		want := s.run("", append([]string{"-bp"}, mode...)...)
		l, _, rest, err := queue.ParseMailqArgs(mode)
		require.NoError(t, err)
		require.Empty(t, rest)
		l.Location, l.Load = time.UTC, idle
		dir, err := queue.Open(s.dir, nil)
		require.NoError(t, err)
		var got bytes.Buffer
		_, err = dir.Print(t.Context(), &got, l)
		require.NoError(t, err)
		// Entries of one priority stand in the order of the directory.
		require.Equal(t, sortedLines(want), sortedLines(got.String()), "seed %d, queue %d, arguments %q, control files %q", seed, i, mode, texts)
	}
}

func sortedLines(s string) []string {
	lines := strings.Split(s, "\n")
	slices.Sort(lines)
	return lines
}

// controlFiles are those of the vectors, as sendmail left them.
func controlFiles(t *testing.T) (texts []string) {
	z, err := zip.OpenReader("testdata/vectors/queue.zip")
	require.NoError(t, err)
	defer z.Close()
	for _, f := range z.File {
		base := filepath.Base(f.Name)
		if !strings.HasPrefix(base, "qf") && !strings.HasPrefix(base, "hf") && !strings.HasPrefix(base, "Qf") {
			continue
		}
		r, err := f.Open()
		require.NoError(t, err)
		b, err := io.ReadAll(r)
		require.NoError(t, err)
		texts = append(texts, string(b))
	}
	require.NotEmpty(t, texts)
	return texts
}

type damager struct {
	rnd          *rand.Rand
	files, lines []string
}

// damaged is a control file with up to four faults.
func (d *damager) damaged() string {
	l := strings.Split(d.files[d.rnd.IntN(len(d.files))], "\n")
	for range d.rnd.IntN(5) {
		i, j := d.rnd.IntN(len(l)), d.rnd.IntN(len(l))
		switch d.rnd.IntN(8) {
		case 0:
			if len(l) > 1 {
				l = slices.Delete(l, i, i+1)
			}
		case 1:
			l = slices.Insert(l, i, d.lines[d.rnd.IntN(len(d.lines))])
		case 2:
			l[i], l[j] = l[j], l[i]
		case 3:
			if b := []byte(l[i]); len(b) > 0 {
				b[d.rnd.IntN(len(b))] = " \t!09AF@<>:,\x80\xff\x01\x7f\\\"()\r"[d.rnd.IntN(20)]
				l[i] = string(b)
			}
		case 4:
			l[i] = l[i][:d.rnd.IntN(len(l[i])+1)]
		case 5:
			l[i] += strings.Repeat([]string{"y", "R", "S", "M"}[d.rnd.IntN(4)], d.rnd.IntN(3000))
		case 6:
			l[i] = string("MKPNR"[d.rnd.IntN(5)]) + strconv.FormatInt([]int64{0, -1, 1, 99, 1 << 30, 1 << 33}[d.rnd.IntN(6)], 10)
		case 7:
			if l[i] != "" {
				l[i] = string("MPKSRqFNIBD$!rQCHV."[d.rnd.IntN(19)]) + l[i][1:]
			}
		}
	}
	return strings.Join(l, "\n")
}

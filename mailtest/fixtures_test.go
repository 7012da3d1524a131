package mailtest_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mtakit/mtakit"
	"github.com/mtakit/mtakit/access"
	"github.com/mtakit/mtakit/alias"
	"github.com/mtakit/mtakit/maildir"
	"github.com/mtakit/mtakit/mailertable"
	"github.com/mtakit/mtakit/mailtest"
	"github.com/mtakit/mtakit/mbox"
	"github.com/mtakit/mtakit/queue"
	"github.com/mtakit/mtakit/virtuser"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The tables that are said to be broken are, on the lines that are named, and the others are not.
func TestTables(t *testing.T) {
	t.Parallel()
	parse := map[mailtest.TableKind]func(io.Reader, string) error{
		mailtest.Aliases:       func(r io.Reader, name string) error { _, err := alias.Parse(r, name); return err },
		mailtest.Access:        func(r io.Reader, name string) error { _, err := access.Parse(r, name); return err },
		mailtest.Virtusertable: func(r io.Reader, name string) error { _, err := virtuser.Parse(r, name); return err },
		mailtest.Mailertable:   func(r io.Reader, name string) error { _, err := mailertable.Parse(r, name); return err },
	}
	for _, table := range mailtest.Tables() {
		p := parse[table.Kind]
		if p == nil {
			continue
		}
		t.Run(string(table.Kind)+"/"+table.Name, func(t *testing.T) {
			path := table.Write(t)
			f, err := os.Open(path)
			require.NoError(t, err)
			defer f.Close()
			assert.Equal(t, table.Bad, errorLines(p(f, path)))
		})
	}
}

// errorLines lists the lines of the syntax errors in err.
func errorLines(err error) (lines []int) {
	var many interface{ Unwrap() []error }
	if errors.As(err, &many) {
		for _, e := range many.Unwrap() {
			lines = append(lines, errorLines(e)...)
		}
		return lines
	}
	var se *mtakit.SyntaxError
	if errors.As(err, &se) {
		lines = append(lines, se.Pos.Line)
	}
	return lines
}

// A queue run finds as many messages to try in each directory as the list says.
func TestQueueStates(t *testing.T) {
	t.Parallel()
	names := map[string]bool{}
	for _, s := range mailtest.QueueStates() {
		t.Run(s.Name, func(t *testing.T) {
			assert.False(t, names[s.Name], "twice")
			names[s.Name] = true
			dir := s.Create(t)
			entries, err := os.ReadDir(dir)
			require.NoError(t, err)
			require.Len(t, entries, len(s.Files))
			q, err := queue.Open(dir, nil)
			require.NoError(t, err)
			claims, err := q.Claim(t.Context(), queue.ClaimRequest{Max: 10})
			require.NoError(t, err)
			found := 0
			for _, c := range claims {
				found++
				c.Release()
			}
			assert.Equal(t, s.Deliverable, found)
		})
	}
	dir := mailtest.QueueDir(t, mailtest.QueueMessage{To: mailtest.To("a@example.org")}, mailtest.QueueMessage{To: mailtest.To("b@example.org")})
	files, err := filepath.Glob(dir + "/qf*")
	require.NoError(t, err)
	require.Len(t, files, 2)
	unlock := mailtest.LockQueueFile(t, files[0])
	unlock()
	mailtest.LockQueueFile(t, files[0])
}

func TestMaildirTrees(t *testing.T) {
	t.Parallel()
	for _, tree := range mailtest.MaildirTrees() {
		t.Run(tree.Name, func(t *testing.T) {
			root := tree.Create(t)
			for _, f := range tree.Files {
				_, err := os.Lstat(filepath.Join(root, f.Path))
				assert.NoError(t, err)
			}
			list, err := maildir.New(root, nil).List()
			require.NoError(t, err)
			assert.Len(t, list, tree.Messages)
		})
	}
}

// What is written is read back, and damage costs no message where it should not.
func TestMboxRead(t *testing.T) {
	t.Parallel()
	for _, variant := range mailtest.MboxVariants() {
		data, samples := mailtest.SampleMbox(variant, 9, 46)
		v, err := mbox.ParseVariant(string(variant))
		require.NoError(t, err)
		r := mbox.NewReader(bytes.NewReader(data))
		r.Variant = v
		n := 0
		for m, err := range r.Messages() {
			require.NoError(t, err)
			got, err := io.ReadAll(m)
			require.NoError(t, err)
			want := samples[n].Text
			if want != "" && !strings.HasSuffix(want, "\n") {
				want += "\n"
			}
			switch variant {
			case mailtest.MboxRD:
				require.Equal(t, want, string(got), "message %d, %s", n, samples[n].Kind)
			case mailtest.MboxCL2:
				header, body, ok := strings.Cut(string(got), "Content-Length: ")
				require.True(t, ok)
				_, body, _ = strings.Cut(body, "\n")
				if got := header + body; strings.Contains(want, "\n\n") || strings.HasPrefix(want, "\n") { // else the header ends with an empty line now
					assert.Equal(t, want, got, "message %d, %s", n, samples[n].Kind)
				}
			}
			n++
		}
		assert.Equal(t, len(samples), n, variant)
	}
}

// The same seed gives the same bytes, here pinned by their hashes.
func TestStable(t *testing.T) {
	t.Parallel()
	for variant, want := range map[mailtest.MboxVariant]string{
		mailtest.MboxO:   "696152 bytes aa9617c4158aabad",
		mailtest.MboxRD:  "696171 bytes e312b0966871f7ed",
		mailtest.MboxCL:  "698177 bytes e8f74ca92d33ad71",
		mailtest.MboxCL2: "698162 bytes 97ad88bcd96bf2f3",
	} {
		a, _ := mailtest.SampleMbox(variant, 1, 100)
		b, _ := mailtest.SampleMbox(variant, 1, 100)
		c, _ := mailtest.SampleMbox(variant, 2, 100)
		assert.True(t, bytes.Equal(a, b))
		assert.False(t, bytes.Equal(a, c))
		assert.Equal(t, want, fnv(a), variant)
	}
}

func fnv(b []byte) string {
	h := uint64(14695981039346656037)
	for _, c := range b {
		h = (h ^ uint64(c)) * 1099511628211
	}
	return fmt.Sprintf("%d bytes %016x", len(b), h)
}

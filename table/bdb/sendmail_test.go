package bdb_test

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mtakit/mtakit/internal/peer"
	"github.com/mtakit/mtakit/table"
	"github.com/mtakit/mtakit/table/bdb"
)

// testMode starts sendmail's address test mode, which looks maps up on request, with the given K lines. It gets a qualified
// host name of its own, since it would otherwise wait a minute for one.
func testMode(t *testing.T, maps string) (ask func(name, key string) string) {
	t.Helper()
	sendmail, unshare := peer.Program(t, "sendmail"), peer.Unshare(t)
	cf := filepath.Join(t.TempDir(), "test.cf")
	require.NoError(t, os.WriteFile(cf, []byte("V10/Berkeley\nDjmx.example.test\nDnMAILER-DAEMON\nO QueueDirectory=/tmp\nO DontBlameSendmail=MapInUnsafeDirPath\n"+maps), 0o644))
	cmd := exec.CommandContext(t.Context(), unshare, "--uts", "sh", "-c", "hostname mx.example.test; exec \"$@\"", "sh", sendmail, "-bt", "-C"+cf)
	stdin, err := cmd.StdinPipe()
	require.NoError(t, err)
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	lines := bufio.NewReader(stdout)
	t.Cleanup(func() {
		stdin.Close()
		_, _ = io.Copy(io.Discard, lines)
		_ = cmd.Wait()
	})
	return func(name, key string) string {
		fmt.Fprintf(stdin, "/map %s %s\n", name, key)
		asked := false
		for {
			line, err := lines.ReadString('\n')
			require.NoError(t, err)
			_, answer, ok := strings.Cut(line, "map_lookup: "+name+" ("+key+") ")
			if asked = asked || ok; !ok {
				answer = line
			}
			// Opening a map may put a remark about its directory in front of the answer.
			if asked && !strings.HasPrefix(answer, "WARNING") {
				return strings.TrimSuffix(answer, "\n")
			}
		}
	}
}

// TestSendmailReadsOurs: sendmail finds what we wrote, and a sendmail that is running notices that we replaced it.
func TestSendmailReadsOurs(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	engines := map[string]table.Engine{"hash": bdb.Hash(), "btree": bdb.Btree()}
	write := func(class, gen string) {
		b, err := engines[class].NewBuilder(table.BuildOptions{})
		require.NoError(t, err)
		for i := range 1000 {
			require.NoError(t, b.Put(fmt.Appendf(nil, "key%d", i), fmt.Appendf(nil, "%s%d", gen, i)))
		}
		require.NoError(t, engines[class].Install(t.Context(), filepath.Join(dir, class+".db"), b, &table.ReplaceOptions{Mode: 0o644}))
	}
	maps := ""
	for class := range engines {
		write(class, "old")
		maps += fmt.Sprintf("K%s %s %s\n", class, class, filepath.Join(dir, class))
	}
	ask := testMode(t, maps)
	for class := range engines {
		for i := 0; i < 1000; i += 37 {
			assert.Equal(t, fmt.Sprintf("returns old%d (0)", i), ask(class, fmt.Sprint("key", i)))
		}
		assert.Equal(t, "no match (0)", ask(class, "key1000"))
		write(class, "new")
		assert.Equal(t, "returns new7 (0)", ask(class, "key7"), "at once after the replacement")
	}
}

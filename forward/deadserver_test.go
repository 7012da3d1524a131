//go:build linux

package forward_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/mtakit/mtakit"
)

// A home on a file server that is gone defers the mail: it neither has no forward file nor a refused one.
func TestForwardDeadServer(t *testing.T) {
	t.Parallel()
	acct := home(t)
	acct.Home = filepath.Join(acct.Home, "net")
	require.NoError(t, os.Mkdir(acct.Home, 0o755))
	server, err := unix.Open("/dev/fuse", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Skip("no file server to play: ", err)
	}
	err = unix.Mount("gone", acct.Home, "fuse", unix.MS_NODEV|unix.MS_NOSUID, fmt.Sprintf("fd=%d,rootmode=40755,user_id=0,group_id=0,allow_other", server))
	unix.Close(server)
	if err != nil {
		t.Skip("no file server to play: ", err)
	}
	defer unix.Unmount(acct.Home, unix.MNT_DETACH)
	_, err = os.Stat(filepath.Join(acct.Home, ".forward"))
	require.ErrorIs(t, err, unix.ENOTCONN)

	outer := acct
	outer.Home = filepath.Dir(acct.Home)
	f := newForward(t, outer, nil)
	x, ok, err := f.Forward(context.Background(), acct, "")
	assert.False(t, ok)
	assert.Empty(t, x.To)
	require.ErrorIs(t, err, unix.ENOTCONN)
	assert.True(t, mtakit.Temporary(err))
	assert.ErrorContains(t, err, "451 4.3.0 transient .forward open error: message queued")
}

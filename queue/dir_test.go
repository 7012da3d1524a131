package queue

import (
	"context"
	"io"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestDirSmoke(t *testing.T) {
	d, err := Open(t.TempDir(), nil)
	require.NoError(t, err)
	ctx := context.Background()
	env := &Envelope{Sender: "<a@b.test>", Header: []byte("Subject: x\nTo: y\n"), Units: []UnitSpec{
		{Rcpts: []Recipient{{Addr: "<c@d.test>", Flags: RcptPrimary | RcptFailure | RcptDelay}}},
		{Rcpts: []Recipient{{Addr: "<c@e.test>", Flags: RcptPrimary | RcptFailure | RcptDelay}}}}}
	w, err := d.Create(ctx, env)
	require.NoError(t, err)
	io.WriteString(w, "hello\n")
	require.NoError(t, w.Commit(ctx))
	n := 0
	for u, err := range d.List(ctx, Filter{}) {
		require.NoError(t, err)
		n++
		cs, err := d.Claim(ctx, ClaimRequest{IDs: []ID{u.ID}})
		require.NoError(t, err)
		require.Len(t, cs, 1)
		r, err := cs[0].Open(ctx)
		require.NoError(t, err)
		b, _ := io.ReadAll(r)
		r.Close()
		require.Equal(t, "Subject: x\nTo: y\n\nhello\n", string(b))
		require.NoError(t, cs[0].Complete(ctx))
	}
	require.Equal(t, 2, n)
}

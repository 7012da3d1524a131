package mta

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mtakit/mtakit"
)

// TestHandedOver: what was found when the client named a recipient is good for the first attempt, unless the tables have
// changed since.
func TestHandedOver(t *testing.T) {
	t.Parallel()
	for _, reload := range []bool{false, true} {
		m := newMTA(t, map[string]string{
			"etc/passwd":  passwdABCD,
			"etc/aliases": "postmaster: carol\ncrew: dora, \"|cat >>DATA/prog\", bob\nowner-crew: carol\ncarol: carol, dora\n",
		}, func(c *Config) { c.SuperSafe = "true" })
		var asked atomic.Int32
		accounts := m.accounts
		m.accounts = mtakit.AccountsFunc(func(ctx context.Context, name string) (mtakit.Account, bool, error) {
			asked.Add(1)
			return accounts.Account(ctx, name)
		})
		m.resolver.Accounts = m.accounts
		_, last := send(t, m, local, "<a@client.example>", "<ann@example.test>", "<crew@example.test>", "<carol@example.test>")
		require.Contains(t, last, "250 2.0.0")
		assert.NotZero(t, asked.Swap(0))
		if reload {
			require.NoError(t, m.Reload(t.Context()))
		}
		require.NoError(t, m.Finish(t.Context()))
		assert.Equal(t, reload, asked.Load() > 0)
		assert.Empty(t, queued(t, m))
		assert.Empty(t, m.handed.units)
		for _, user := range []string{"ann", "bob", "carol", "dora"} {
			assert.Lenf(t, mailOf(t, m, user), 1, "%s", user)
		}
		assert.True(t, strings.Contains(mailOf(t, m, "bob")[0], "Return-Path: <carol"), "the owner of the list")
		assert.FileExists(t, m.cfg.Data+"/prog")
	}
}

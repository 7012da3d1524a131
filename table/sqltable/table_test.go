package sqltable_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mtakit/mtakit"
	"github.com/mtakit/mtakit/table/sqltable"
	"github.com/mtakit/mtakit/table/tabletest"
)

// fake is a database whose only query looks a key up in a map. It misbehaves on demand.
type fake struct {
	content map[string]driver.Value
	fail    map[string]error
	hang    string // a key whose query never ends
	prepare error
}

func (f *fake) Connect(context.Context) (driver.Conn, error) { return &conn{f}, nil }
func (f *fake) Driver() driver.Driver                        { return nil }

type conn struct{ f *fake }

func (c *conn) Prepare(query string) (driver.Stmt, error) {
	if c.f.prepare != nil {
		return nil, c.f.prepare
	}
	return &stmt{c.f}, nil
}
func (c *conn) Close() error              { return nil }
func (c *conn) Begin() (driver.Tx, error) { return nil, errors.New("no transactions") }

type stmt struct{ f *fake }

func (s *stmt) Close() error  { return nil }
func (s *stmt) NumInput() int { return 1 }
func (s *stmt) Exec([]driver.Value) (driver.Result, error) {
	return nil, errors.New("look-ups do not change anything")
}
func (s *stmt) Query([]driver.Value) (driver.Rows, error) { return nil, errors.New("no context") }

func (s *stmt) QueryContext(ctx context.Context, args []driver.NamedValue) (driver.Rows, error) {
	key := args[0].Value.(string)
	if err := s.f.fail[key]; err != nil {
		return nil, err
	}
	if key == s.f.hang && key != "" {
		<-ctx.Done()
		return nil, errors.New("canceling statement due to user request")
	}
	v, ok := s.f.content[key]
	return &rows{v, ok}, nil
}

type rows struct {
	v    driver.Value
	left bool
}

func (r *rows) Columns() []string { return []string{"value"} }
func (r *rows) Close() error      { return nil }
func (r *rows) Next(dest []driver.Value) error {
	if !r.left {
		return io.EOF
	}
	r.left, dest[0] = false, r.v
	return nil
}

// open makes a Table over a fake.
func open(t *testing.T, f *fake, o *sqltable.Options) *sqltable.Table {
	t.Helper()
	db := sql.OpenDB(f)
	t.Cleanup(func() { db.Close() })
	tab, err := sqltable.New(t.Context(), db, "SELECT value FROM alias WHERE name = ?", o)
	require.NoError(t, err)
	t.Cleanup(func() { tab.Close() })
	return tab
}

func TestContract(t *testing.T) {
	t.Parallel()
	tabletest.TestTable(t, func(t *testing.T, content map[string]string) mtakit.Table {
		f := &fake{content: map[string]driver.Value{}}
		for k, v := range content {
			f.content[k] = v
		}
		return open(t, f, nil)
	})
}

func TestErrorsAreCannotTell(t *testing.T) {
	t.Parallel()
	f := &fake{
		content: map[string]driver.Value{"null": nil, "bytes": []byte("b"), "number": int64(5)},
		fail:    map[string]error{"down": driver.ErrBadConn, "syntax": errors.New("relation does not exist")},
		hang:    "slow",
	}
	tab := open(t, f, &sqltable.Options{Timeout: 20 * time.Millisecond, Name: "aliases"})
	for key, want := range map[string]error{
		"null": sqltable.ErrNull, "down": driver.ErrBadConn, "syntax": f.fail["syntax"], "slow": context.DeadlineExceeded,
	} {
		v, ok, err := tab.Lookup(t.Context(), key)
		require.ErrorIs(t, err, want, key)
		assert.Contains(t, err.Error(), "aliases: ")
		assert.True(t, mtakit.Temporary(err))
		assert.False(t, ok)
		assert.Empty(t, v)
	}
	for key, want := range map[string]string{"bytes": "b", "number": "5"} {
		v, ok, err := tab.Lookup(t.Context(), key)
		require.NoError(t, err)
		assert.True(t, ok)
		assert.Equal(t, want, v)
	}
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(5*time.Millisecond, cancel)
	_, _, err := open(t, f, &sqltable.Options{Timeout: -1}).Lookup(ctx, "slow")
	require.ErrorIs(t, err, context.Canceled)
}

func TestNewFails(t *testing.T) {
	t.Parallel()
	db := sql.OpenDB(&fake{prepare: errors.New("no such table")})
	defer db.Close()
	_, err := sqltable.New(t.Context(), db, "SELECT 1", nil)
	assert.EqualError(t, err, "sql: no such table")
}

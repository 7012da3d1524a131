package sqltable_test

import (
	"context"
	"database/sql"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	_ "modernc.org/sqlite" // the driver "sqlite"

	"github.com/mtakit/mtakit"
	"github.com/mtakit/mtakit/table/sqltable"
	"github.com/mtakit/mtakit/table/tabletest"
)

const (
	schema = "CREATE TABLE alias (name TEXT PRIMARY KEY, value) WITHOUT ROWID"
	query  = "SELECT value FROM alias WHERE name = ?"
)

// newDB makes a database file with an empty table of aliases.
func newDB(t testing.TB) (db *sql.DB, path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "mail.sqlite")
	db, err := sql.Open("sqlite", path)
	require.NoError(t, err)
	t.Cleanup(func() { db.Close() })
	exec(t, db, schema)
	return db, path
}

func exec(t testing.TB, db *sql.DB, statement string, args ...any) {
	t.Helper()
	_, err := db.ExecContext(t.Context(), statement, args...)
	require.NoError(t, err)
}

func newTable(t testing.TB, db *sql.DB, query string, o *sqltable.Options) *sqltable.Table {
	t.Helper()
	tab, err := sqltable.New(t.Context(), db, query, o)
	require.NoError(t, err)
	t.Cleanup(func() { tab.Close() })
	return tab
}

func TestContract(t *testing.T) {
	t.Parallel()
	tabletest.TestTable(t, func(t *testing.T, content map[string]string) mtakit.Table {
		db, _ := newDB(t)
		for k, v := range content {
			exec(t, db, "INSERT INTO alias VALUES (?, ?)", k, v)
		}
		return newTable(t, db, query, nil)
	})
}

func TestValues(t *testing.T) {
	t.Parallel()
	db, _ := newDB(t)
	exec(t, db, "INSERT INTO alias VALUES ('text', 'joe, ann'), ('number', 42), ('blob', x'6a6f65'), ('empty', ''), ('null', NULL)")
	tab := newTable(t, db, query, &sqltable.Options{Name: "aliases"})
	for key, want := range map[string]string{"text": "joe, ann", "number": "42", "blob": "joe", "empty": ""} {
		v, ok, err := tab.Lookup(t.Context(), key)
		require.NoError(t, err, key)
		assert.True(t, ok, key)
		assert.Equal(t, want, v, key)
	}
	_, ok, err := tab.Lookup(t.Context(), "null")
	require.ErrorIs(t, err, sqltable.ErrNull)
	assert.False(t, ok)
	assert.True(t, mtakit.Temporary(err))
}

// TestQueries: a key cannot change the query, the first row counts, and what the database may do to a key is for the query to say.
func TestQueries(t *testing.T) {
	t.Parallel()
	db, _ := newDB(t)
	exec(t, db, "CREATE TABLE member (list TEXT, rank INTEGER, address TEXT)")
	exec(t, db, "INSERT INTO alias VALUES ('joe', 'joe@a.example')")
	exec(t, db, "INSERT INTO member VALUES ('staff', 2, 'second'), ('staff', 1, 'first'), ('staff', 3, 'third')")
	ordered := "SELECT address FROM member WHERE list = ? ORDER BY rank LIMIT 1"
	joined := "SELECT group_concat(address, ', ' ORDER BY rank) FROM member WHERE list = ? GROUP BY list"
	for _, tt := range []struct {
		name, query, key, want string
		ok                     bool
	}{
		{"quotes in a key", query, "x' OR '1'='1", "", false},
		{"statement in a key", query, "joe'; DROP TABLE alias; --", "", false},
		{"still there", query, "joe", "joe@a.example", true},
		{"case counts", query, "JOE", "", false},
		{"case does not count", query + " COLLATE NOCASE", "JOE", "joe@a.example", true},
		{"first of several rows", ordered, "staff", "first", true},
		{"rows joined", joined, "staff", "first, second, third", true},
		{"no rows to join", joined, "nobody", "", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			v, ok, err := newTable(t, db, tt.query, nil).Lookup(t.Context(), tt.key)
			require.NoError(t, err)
			assert.Equal(t, tt.ok, ok)
			assert.Equal(t, tt.want, v)
		})
	}
}

// endless is a query whose first row never comes.
const endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n WHERE i < 0 AND ? <> ''"

// TestCannotTell: whatever keeps the database from answering is an error, and never an absent key.
func TestCannotTell(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		query string
		harm  func(t *testing.T, db *sql.DB, path string)
		want  error // in the chain, when not nil
		text  string
	}{
		{"table dropped", query, func(t *testing.T, db *sql.DB, _ string) { exec(t, db, "DROP TABLE alias") }, nil, "no such table"},
		{"database closed", query, func(t *testing.T, db *sql.DB, _ string) { db.Close() }, nil, "closed"},
		{"locked by another", query, func(t *testing.T, _ *sql.DB, path string) { lock(t, path) }, nil, "locked"},
		{"too slow", endless, func(*testing.T, *sql.DB, string) {}, context.DeadlineExceeded, ""},
		{"no free connection", query, func(t *testing.T, db *sql.DB, _ string) {
			db.SetMaxOpenConns(1)
			c, err := db.Conn(t.Context())
			require.NoError(t, err)
			t.Cleanup(func() { c.Close() })
		}, context.DeadlineExceeded, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			db, path := newDB(t)
			exec(t, db, "INSERT INTO alias VALUES ('joe', 'x')")
			tab := newTable(t, db, tt.query, &sqltable.Options{Timeout: 2 * time.Second, Name: "aliases"})
			tt.harm(t, db, path)
			_, ok, err := tab.Lookup(t.Context(), "joe")
			require.Error(t, err)
			assert.False(t, ok)
			assert.True(t, mtakit.Temporary(err))
			assert.Contains(t, err.Error(), "aliases: ")
			assert.Contains(t, err.Error(), tt.text)
			if tt.want != nil {
				require.ErrorIs(t, err, tt.want)
			}
		})
	}
}

// lock keeps everybody else out of the database until the test ends.
func lock(t *testing.T, path string) {
	other, err := sql.Open("sqlite", path)
	require.NoError(t, err)
	t.Cleanup(func() { other.Close() })
	other.SetMaxOpenConns(1)
	exec(t, other, "BEGIN EXCLUSIVE")
}

func TestCancel(t *testing.T) {
	t.Parallel()
	db, _ := newDB(t)
	tab := newTable(t, db, endless, &sqltable.Options{Timeout: -1})
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(20*time.Millisecond, cancel)
	_, _, err := tab.Lookup(ctx, "joe")
	require.ErrorIs(t, err, context.Canceled)
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	db, _ := newDB(t)
	for query, want := range map[string]string{
		"SELECT value FROM missing WHERE name = ?": "no such table",
		"SELECT missing FROM alias WHERE name = ?": "no such column",
		"SELEKT value": "syntax error",
	} {
		_, err := sqltable.New(t.Context(), db, query, nil)
		assert.ErrorContains(t, err, want)
	}
}

// TestWriter: look-ups go on while somebody writes, each seeing what was committed.
func TestWriter(t *testing.T) {
	t.Parallel()
	db, path := newDB(t)
	exec(t, db, "PRAGMA journal_mode = WAL")
	exec(t, db, "INSERT INTO alias VALUES ('n', 0)")
	tab := newTable(t, db, query, nil)
	other, err := sql.Open("sqlite", path+"?_pragma=busy_timeout(10000)")
	require.NoError(t, err)
	defer other.Close()
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := range 50 {
			_, err := other.ExecContext(t.Context(), "UPDATE alias SET value = ?", i+1)
			assert.NoError(t, err)
		}
	})
	for range 4 {
		wg.Go(func() {
			last := 0
			for last < 50 {
				v, ok, err := tab.Lookup(t.Context(), "n")
				n := 0
				_, _ = fmt.Sscan(v, &n)
				if !assert.NoError(t, err) || !assert.True(t, ok) || !assert.GreaterOrEqual(t, n, last) {
					return
				}
				last = n
			}
		})
	}
	wg.Wait()
}

func Example() {
	ctx := context.Background()
	db, err := sql.Open("sqlite", ":memory:")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer db.Close()
	db.SetMaxOpenConns(1) // each connection to :memory: would have a database of its own
	_, err = db.ExecContext(ctx, schema+"; INSERT INTO alias VALUES ('postmaster', 'ann')")
	if err != nil {
		fmt.Println(err)
		return
	}
	aliases, err := sqltable.New(ctx, db, query, &sqltable.Options{Name: "aliases"})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer aliases.Close()
	fmt.Println(aliases.Lookup(ctx, "postmaster"))
	fmt.Println(aliases.Lookup(ctx, "joe"))
	// Output:
	// ann true <nil>
	//  false <nil>
}

// BenchmarkLookup looks keys up in a file of 100,000 rows.
func BenchmarkLookup(b *testing.B) {
	db, _ := newDB(b)
	exec(b, db, "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 99999) INSERT INTO alias SELECT 'user' || i, 'box' || i FROM n")
	tab := newTable(b, db, query, nil)
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		key := fmt.Sprint("user", i*7919%100_000)
		if _, ok, err := tab.Lookup(b.Context(), key); err != nil || !ok {
			b.Fatal(key, ok, err)
		}
		i++
	}
}

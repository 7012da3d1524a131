package sqltable

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/mtakit/mtakit"
)

// Options tunes a Table. The zero value is ready for use.
type Options struct {
	// Timeout bounds each look-up, waiting for a connection included. Zero means 5 seconds; negative means no bound but
	// the context's.
	Timeout time.Duration
	// Name stands in errors. Empty means "sql".
	Name string
}

// DB is what a Table needs of a database. *sql.DB and *sql.Conn are DBs.
type DB interface {
	PrepareContext(ctx context.Context, query string) (*sql.Stmt, error)
}

// Table is a mtakit.Table whose values come from a query.
type Table struct {
	stmt *sql.Stmt
	o    Options
}

var _ mtakit.Table = (*Table)(nil)

// New prepares query, which has one parameter and one column. o may be nil.
func New(ctx context.Context, db DB, query string, o *Options) (*Table, error) {
	t := &Table{}
	if o != nil {
		t.o = *o
	}
	if t.o.Timeout == 0 {
		t.o.Timeout = 5 * time.Second
	}
	if t.o.Name == "" {
		t.o.Name = "sql"
	}
	ctx, cancel := t.limit(ctx)
	defer cancel()
	stmt, err := db.PrepareContext(ctx, query)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", t.o.Name, err)
	}
	t.stmt = stmt
	return t, nil
}

func (t *Table) limit(ctx context.Context) (context.Context, context.CancelFunc) {
	if t.o.Timeout < 0 {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, t.o.Timeout)
}

// ErrNull means that the value under a key is NULL.
var ErrNull = errors.New("value is NULL")

// Lookup runs the query. Errors are the database's or the context's: they mean "cannot tell".
func (t *Table) Lookup(ctx context.Context, key string) (value string, ok bool, err error) {
	ctx, cancel := t.limit(ctx)
	defer cancel()
	var v sql.NullString
	err = t.stmt.QueryRowContext(ctx, key).Scan(&v)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return "", false, nil
	case err == nil && !v.Valid:
		err = ErrNull
	case err == nil:
		return v.String, true, nil
	}
	if cause := ctx.Err(); cause != nil && !errors.Is(err, cause) {
		err = fmt.Errorf("%w: %w", cause, err) // drivers have words of their own for it
	}
	return "", false, fmt.Errorf("%s: %w", t.o.Name, err)
}

// Close releases the statement. The database stays open: it is the caller's.
func (t *Table) Close() error { return t.stmt.Close() }

// Package sqltable answers look-ups with a query to an SQL database, through any database/sql driver.
//
// # Query
//
// A query has one parameter, the key, and returns rows of one column, the value. No row means that the key is absent; of
// several rows the first counts. A NULL value, like an error of the database or a time limit, means "cannot tell", so
// that the mail waits.
//
//	db, err := sql.Open("pgx", "postgres://mta@db/mail")
//	aliases, err := sqltable.New(ctx, db, "SELECT value FROM alias WHERE name = $1 LIMIT 1", nil)
//
// PostgreSQL (drivers pgx, lib/pq) writes the parameter as $1, MySQL (go-sql-driver/mysql) and SQLite (modernc.org/sqlite) as ?:
//
//	db, err := sql.Open("mysql", "mta:secret@tcp(db:3306)/mail?timeout=5s")
//	aliases, err := sqltable.New(ctx, db, "SELECT value FROM alias WHERE name = ? LIMIT 1", nil)
//
// The repository's examples/sqltable tests a Table with SQLite; PostgreSQL and MySQL are documented only.
//
// Keys are looked up as they are. MySQL's usual collations ignore case, and many of them trailing blanks; where that is not wanted,
// give the column a binary collation (VARBINARY, or COLLATE utf8mb4_bin for case alone), which keeps its index in use. Rows in a fixed
// order need an ORDER BY.
//
// The connection pool is the caller's, with its limits (sql.DB.SetMaxOpenConns); New prepares the query once per connection. In front of
// a slow database put a table.Cache.
//
// # Differences from sendmail
//
// sendmail has no SQL maps; Postfix has (pgsql_table(5), mysql_table(5), sqlite_table(5)). Other than there, a query is never
// put together from text, so that a key cannot change it.
//
// # Concurrency
//
// A Table may be used by several goroutines at once.
package sqltable

// Package sqltable shows package table/sqltable at a real database, and tests it there. The database is SQLite by way of
// modernc.org/sqlite, a driver without cgo. The module of the library has no driver, so that who imports it gets none.
//
// # Differences from sendmail
//
// sendmail has no SQL maps.
//
// # Concurrency
//
// There is nothing to call.
package sqltable

// Package tabletest holds implementations of mtakit.Table, and the engines of map files, to their contract. Call TestTable from
// a test of your own table, TestEngine from one of a table.Engine; each failure names the sentence that was broken.
//
// # Differences from sendmail
//
// None known: sendmail has no such thing.
//
// # Concurrency
//
// The functions may be called from parallel tests.
package tabletest
